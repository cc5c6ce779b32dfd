/** Files at addresses that a person wrote: a model as one GGUF file or as a folder like those on the Hub, and data. */
import { LoraletError } from '../errors.js';
import { storageAvailable } from '../storage/files.js';
import type { ModelStorage } from '../storage/models.js';
import type { ModelFile } from '../types.js';
import { download, type Transfer } from './download.js';
import { FOLDER_FILES } from './hub.js';
import { get, type Link } from './request.js';

const REQUIRED = ['config.json', 'tokenizer.json'];
const WHOLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** The last part of an address, as a file's name. */
export function nameOf(url: string): string {
  const { pathname, host } = new URL(url);
  return decodeURIComponent(pathname.split('/').findLast((part) => part !== '') ?? host);
}

/**
 * The files of a model at `url`, absolute: a `.gguf` file, or a folder with `config.json`, `tokenizer.json` and safetensors.
 * The weights are kept like those of a download. Throws one sentence.
 */
export async function fetchModel(
  storage: ModelStorage,
  url: string,
  onProgress: (transfer: Transfer) => void,
  link: Link,
): Promise<ModelFile[]> {
  if (new URL(url).pathname.toLowerCase().endsWith('.gguf'))
    return fetchWeights(storage, url, [{ name: nameOf(url), url }], onProgress, link);
  const at = (name: string) => new URL(name, url.endsWith('/') ? url : `${url}/`).href;
  const small = await Promise.all(
    FOLDER_FILES.map(async (name): Promise<ModelFile[]> => {
      const isRequired = REQUIRED.includes(name);
      const response = await (isRequired
        ? get(at(name), name, link, { written: true })
        : ifThere(get(at(name), name, link, { written: true })));
      return response ? [{ name, blob: await response.blob() }] : [];
    }),
  );
  const index = (await ifThere(get(at(WHOLE), WHOLE, link, { method: 'HEAD', written: true })))
    ? null
    : await get(at(INDEX), WHOLE, link, { written: true });
  const weights = index ? shardsOf(await index.clone().json()) : [WHOLE];
  const files = await fetchWeights(
    storage,
    url,
    weights.map((name) => ({ name, url: at(name) })),
    onProgress,
    link,
  );
  return [...small.flat(), ...(index ? [{ name: INDEX, blob: await index.blob() }] : []), ...files];
}

/** A file of data at `url`, absolute. Throws one sentence. */
export async function fetchData(
  url: string,
  link: Link,
): Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> }> {
  const name = nameOf(url);
  const response = await get(url, name, link, { written: true });
  return { name, bytes: new Uint8Array(await response.arrayBuffer()) };
}

/** Into storage, from where a broken download goes on; into memory where the browser has no storage for pages. */
async function fetchWeights(
  storage: ModelStorage,
  key: string,
  files: { name: string; url: string }[],
  onProgress: (transfer: Transfer) => void,
  link: Link,
): Promise<ModelFile[]> {
  if (storageAvailable()) {
    const remote = files.map(({ name, url }) => ({ name, url, bytes: null, version: '' }));
    const source = { kind: 'url', url: key } as const;
    return download(storage, { key, label: nameOf(key), source, files: remote }, onProgress, link);
  }
  const fetched: ModelFile[] = [];
  for (const { name, url } of files)
    fetched.push({ name, blob: await (await get(url, name, link, { written: true })).blob() });
  return fetched;
}

/** The answer, or null where the server has no such file. */
function ifThere(asked: Promise<Response>): Promise<Response | null> {
  return asked.catch((error: unknown) => {
    if (error instanceof LoraletError && ['refused', 'wrong_answer'].includes(error.kind)) return null;
    throw error;
  });
}

/** https://huggingface.co/docs/safetensors: the index says which file has which tensor. */
function shardsOf(index: unknown): string[] {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  const names = typeof map === 'object' && map !== null ? Object.values(map) : [];
  const shards = [...new Set(names)].filter((name) => typeof name === 'string');
  if (shards.length > 0) return shards.sort();
  throw new LoraletError('no_weights', `${INDEX} names no file with weights`, { key: INDEX });
}
