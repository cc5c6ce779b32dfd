/** A safetensors file of random weights, LoRA pairs and tokens. */
export function randomWeights({ hidden, layers, heads, kv_heads, head_dim, ffn, vocab, batch, seq, lora }) {
  let state = 7;
  const uniform = () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff - 0.5;
  const tensors = [];
  const add = (name, shape, value = () => uniform() * 0.3) =>
    tensors.push([name, 'F32', shape, Float32Array.from({ length: size(shape) }, value)]);
  const size = (shape) => shape.reduce((product, length) => product * length, 1);
  add('model.embed_tokens.weight', [vocab, hidden]);
  add('model.norm.weight', [hidden], () => 1);
  for (let layer = 0; layer < layers; layer += 1) {
    const at = `model.layers.${layer}`;
    add(`${at}.input_layernorm.weight`, [hidden], () => 1);
    add(`${at}.post_attention_layernorm.weight`, [hidden], () => 1);
    const shapes = {
      'self_attn.q_proj': [heads * head_dim, hidden],
      'self_attn.k_proj': [kv_heads * head_dim, hidden],
      'self_attn.v_proj': [kv_heads * head_dim, hidden],
      'self_attn.o_proj': [hidden, heads * head_dim],
      'mlp.gate_proj': [ffn, hidden],
      'mlp.up_proj': [ffn, hidden],
      'mlp.down_proj': [hidden, ffn],
    };
    for (const [part, [out, input]] of Object.entries(shapes)) {
      add(`${at}.${part}.weight`, [out, input]);
      add(`base_model.model.${at}.${part}.lora_A.weight`, [lora.r, input]);
      add(`base_model.model.${at}.${part}.lora_B.weight`, [out, lora.r]);
    }
  }
  const tokens = Int32Array.from({ length: batch * seq }, () => Math.floor((uniform() + 0.5) * vocab));
  tensors.push(['tokens', 'I32', [batch, seq], tokens]);

  const header = {};
  let offset = 0;
  for (const [name, dtype, shape, values] of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...tensors.map(([, , , values]) => Buffer.from(values.buffer))]);
}
