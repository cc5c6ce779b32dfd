/** A safetensors file's tensors by name: their shapes and values. */
export function readSafetensors(buffer) {
  const headerLength = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, headerLength)));
  const arrays = { F32: Float32Array, I32: Int32Array };
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [start, end] = offsets.map((offset) => 8 + headerLength + offset);
    // The header's length need not be a multiple of four, so a view of the buffer would not do.
    tensors.set(name, { shape, values: new arrays[dtype](buffer.slice(start, end)) });
  }
  return tensors;
}
