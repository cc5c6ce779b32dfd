/**
 * A Llama with LoRA on its seven projections, in jax-js.
 *
 * An array is consumed by the function that it is passed to; `.ref` keeps it for another use.
 */
import { nn, numpy as np } from '@jax-js/jax';

const PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
];

/** The arrays of a run: what is frozen, what is trained, and what one batch needs. */
export function arrays(workload, tensors) {
  const array = (name) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`the weights have no ${name}`);
    return np.array(tensor.values).reshape(tensor.shape);
  };
  const layers = Array.from({ length: workload.layers }, (_, layer) => `model.layers.${layer}`);
  const each = (at, value) => Object.fromEntries(PROJECTIONS.map((part) => [part, value(`${at}.${part}`)]));
  return {
    frozen: {
      embed: array('model.embed_tokens.weight'),
      norm: array('model.norm.weight'),
      layers: layers.map((at) => ({
        attentionNorm: array(`${at}.input_layernorm.weight`),
        mlpNorm: array(`${at}.post_attention_layernorm.weight`),
        ...each(at, (name) => array(`${name}.weight`)),
      })),
      ...rotation(workload),
    },
    lora: layers.map((at) =>
      each(at, (name) => ({
        a: array(`base_model.model.${name}.lora_A.weight`),
        b: array(`base_model.model.${name}.lora_B.weight`),
      })),
    ),
    batch: nextTokens(workload, tensors.get('tokens').values),
  };
}

/** The mean cross-entropy of every next token. */
export function loss(workload, lora, frozen, batch) {
  const { batch: rows, seq, hidden, vocab, layers } = workload;
  // [rows · seq, hidden]
  let x = np.take(frozen.embed.ref, batch.inputs, 0);
  for (let layer = 0; layer < layers; layer += 1) {
    x = block(workload, x, frozen.layers[layer], lora[layer], frozen);
  }
  frozen.cos.dispose();
  frozen.sin.dispose();
  const logits = np.matmul(rmsNorm(workload, x, frozen.norm), frozen.embed.transpose());
  // A comparison instead of a gather: it is computed where the sum needs it.
  const isTarget = np
    .arange(vocab)
    .reshape([1, vocab])
    .equal(batch.targets.reshape([rows * seq, 1]));
  const picked = np.where(isTarget, logits.ref, 0).sum(-1);
  const losses = nn.logsumexp(logits, -1).sub(picked);
  return losses.mul(batch.weights).sum();
}

function block(workload, x, weights, lora, { cos, sin }) {
  const { batch: rows, seq, heads, kv_heads: kvHeads, head_dim: headDim } = workload;
  const linear = (part, input) => loraLinear(workload, input, weights[part], lora[part]);
  const split = (y, count) => y.reshape([rows, seq, count, headDim]);

  const normed = rmsNorm(workload, x.ref, weights.attentionNorm);
  const q = rotate(split(linear('self_attn.q_proj', normed.ref), heads), cos.ref, sin.ref);
  const k = rotate(split(linear('self_attn.k_proj', normed.ref), kvHeads), cos.ref, sin.ref);
  const v = split(linear('self_attn.v_proj', normed), kvHeads);
  const attended = nn.dotProductAttention(q, k, v, { isCausal: true });
  x = x.add(linear('self_attn.o_proj', attended.reshape([rows * seq, heads * headDim])));

  const middle = rmsNorm(workload, x.ref, weights.mlpNorm);
  const gate = nn.silu(linear('mlp.gate_proj', middle.ref));
  const up = linear('mlp.up_proj', middle);
  return x.add(linear('mlp.down_proj', gate.mul(up)));
}

/** x · Wᵀ + alpha / r · (x · Aᵀ) · Bᵀ */
function loraLinear({ lora }, x, weight, { a, b }) {
  const base = np.matmul(x.ref, weight.transpose());
  const low = np.matmul(x, a.transpose()).mul(lora.alpha / lora.r);
  return base.add(np.matmul(low, b.transpose()));
}

function rmsNorm({ eps }, x, weight) {
  const meanSquare = np.square(x.ref).mean(-1, { keepdims: true });
  return x.div(np.sqrt(meanSquare.add(eps))).mul(weight);
}

/** Rotary embedding of `[rows, seq, heads, head_dim]`: a head's halves are the two parts of its numbers. */
function rotate(x, cos, sin) {
  const { shape } = x;
  const halves = x.reshape([...shape.slice(0, 3), 2, shape[3] / 2]);
  return halves.ref.mul(cos).add(np.flip(halves, 3).mul(sin)).reshape(shape);
}

/** `[1, seq, 1, 2, head_dim / 2]`; the sine of the first half is negative. */
function rotation({ seq, head_dim: headDim, rope_theta: theta }) {
  const half = headDim / 2;
  const [cos, sin] = [new Float32Array(seq * headDim), new Float32Array(seq * headDim)];
  for (let position = 0; position < seq; position += 1) {
    for (let i = 0; i < half; i += 1) {
      const angle = position * theta ** (-i / half);
      const at = position * headDim + i;
      cos[at] = cos[at + half] = Math.cos(angle);
      sin[at] = -Math.sin(angle);
      sin[at + half] = Math.sin(angle);
    }
  }
  const array = (values) => np.array(values).reshape([1, seq, 1, 2, half]);
  return { cos: array(cos), sin: array(sin) };
}

/** Every position predicts the next one of its row; the last predicts nothing. */
function nextTokens({ batch, seq }, tokens) {
  const isLast = (i) => i % seq === seq - 1;
  return {
    inputs: np.array(tokens),
    targets: np.array(tokens.map((_, i) => (isLast(i) ? 0 : tokens[i + 1]))),
    weights: np.array(Float32Array.from(tokens, (_, i) => (isLast(i) ? 0 : 1 / (batch * (seq - 1))))),
  };
}
