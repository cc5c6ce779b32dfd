/** The model that the library itself carries, for a first try and for lessons. */
import { LoraletError } from '../errors.js';
import type { ModelFile } from '../types.js';

export const CARRIED = 'tiny';

/** The files of `tiny`, of a million parameters, which writes simple English. Its weights are fetched, 2 MB. */
export async function carriedModel(): Promise<ModelFile[]> {
  const { texts, weightsUrl } = await import('./tiny.js');
  const response = await fetch(weightsUrl).catch(() => null);
  if (!response?.ok) {
    const status = String(response?.status ?? 'none');
    const message = `the model "${CARRIED}" (${weightsUrl}) could not be loaded; check the connection`;
    throw new LoraletError('refused', message, { key: CARRIED, args: { status } });
  }
  return [
    ...Object.entries(texts).map(([name, text]) => ({ name, blob: new Blob([text]) })),
    { name: 'model.safetensors', blob: await response.blob() },
  ];
}
