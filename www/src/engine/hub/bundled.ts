/** The models that this page's own server carries, under `models/`. */
import { storageAvailable } from '../storage/files.js';
import type { ModelStorage } from '../storage/models.js';
import type { ModelFile } from '../types.js';
import { download, type RemoteFile, type Transfer } from './download.js';
import { get, type Link } from './request.js';

export interface BundledModel {
  name: string;
  label: string;
  files: string[];
  bytes: number;
}

/** What the page says of the models it knows, and the Hugging Face ids of those that are there too. */
const KNOWN: Record<string, { description: string; base: string | null }> = {
  tiny: { description: 'Ready at once. It only knows a small world of simple sentences.', base: null },
  smollm2: {
    description: 'A real assistant model, small enough for any laptop.',
    base: 'HuggingFaceTB/SmolLM2-135M-Instruct',
  },
  minilm: {
    description: 'An encoder: it writes nothing, and finds the texts that mean the same.',
    base: 'sentence-transformers/all-MiniLM-L6-v2',
  },
};

/** Smaller models are fetched anew each time; storing them would only let them go stale. */
const STORE_FROM_BYTES = 16 * 1024 * 1024;

export async function listBundled(): Promise<BundledModel[]> {
  const response = await fetch('./models/index.json');
  if (!response.ok) return [];
  return (await response.json()) as BundledModel[];
}

export async function fetchBundled(
  storage: ModelStorage,
  model: BundledModel,
  onProgress: (transfer: Transfer) => void,
  link: Link,
): Promise<ModelFile[]> {
  const files = model.files.map((name): RemoteFile => ({
    name,
    url: `./models/${encodeURIComponent(model.name)}/${encodeURIComponent(name)}`,
    bytes: null,
    version: '',
  }));
  if (model.bytes >= STORE_FROM_BYTES && storageAvailable()) {
    const source = { kind: 'bundled', name: model.name } as const;
    const job = { key: bundledKey(model.name), label: model.label, source, files };
    return download(storage, job, onProgress, link);
  }
  const blobs: ModelFile[] = [];
  for (const file of files) {
    const blob = await (await get(file.url, file.name, link)).blob();
    blobs.push({ name: file.name, blob });
    const done = blobs.reduce((sum, { blob }) => sum + blob.size, 0);
    onProgress({ done, total: model.bytes, resumedFrom: 0, file: file.name, checking: false });
  }
  return blobs;
}

export function describe(name: string): string {
  return KNOWN[name]?.description ?? '';
}

/** The id under which other tools find the same base model. */
export function baseOf(name: string): string | null {
  return KNOWN[name]?.base ?? null;
}

export function bundledKey(name: string): string {
  return `bundled/${name}`;
}
