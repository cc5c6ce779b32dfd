/** What a Hugging Face repository (or a server laid out like one) offers, and where its files are. */
import type { DownloadJob, RemoteFile } from './download.js';
import { LoraletError } from '../errors.js';
import { absolute, get, hostOf, type Link } from './request.js';

export const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** One way to take the model: a safetensors folder or one GGUF file. */
export interface WeightsChoice {
  /** `safetensors`, or the GGUF's file name. */
  weights: string;
  label: string;
  bytes: number;
  files: RemoteFile[];
}

export interface HubAddress {
  endpoint: string;
  repo: string;
  revision: string;
}

interface TreeEntry {
  type: string;
  path: string;
  size?: number;
  oid?: string;
  lfs?: { oid?: string; size?: number };
}

/** What a model's folder may hold beside its weights. */
export const FOLDER_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'loralet-probe.txt',
  'loralet-probe.jsonl',
  'loralet-general.txt',
  'loralet-general.jsonl',
];

/** A repository with more pages than this is not listed to its end. */
const MOST_PAGES = 100;

/** Asks the server for the repository's files. Throws one sentence. */
export async function listWeights(address: HubAddress, link: Link): Promise<WeightsChoice[]> {
  const { repo, revision } = address;
  if (!/^[\w.-]+(\/[\w.-]+)?$/.test(repo)) {
    throw new LoraletError(
      'invalid_address',
      `"${repo}" is not a repository id; write owner/name, for example HuggingFaceTB/SmolLM2-135M-Instruct`,
      { key: 'repo', args: { value: repo } },
    );
  }
  const base = endpointUrl(address.endpoint);
  const entries = await readTree(base, address, link);
  const files = entries
    .filter((entry) => entry.type === 'file')
    .map((entry): RemoteFile => ({
      name: entry.path,
      url: `${base}/${repo}/resolve/${encodeURIComponent(revision)}/${encodePath(entry.path)}`,
      bytes: entry.lfs?.size ?? entry.size ?? null,
      version: entry.lfs?.oid ?? entry.oid ?? String(entry.size ?? ''),
      // Only of large files; the id of a small one is git's, not of its content alone.
      sha256: /^[0-9a-f]{64}$/i.test(entry.lfs?.oid ?? '') ? (entry.lfs?.oid ?? null) : null,
    }));
  const choices = [...safetensorsChoice(files), ...ggufChoices(files)];
  if (choices.length === 0) {
    throw new LoraletError(
      'no_weights',
      `${repo} holds neither a GGUF file nor config.json with safetensors; choose another repository`,
      { key: repo },
    );
  }
  return choices;
}

export function downloadJob(address: HubAddress, choice: WeightsChoice): DownloadJob {
  const { endpoint, repo, revision } = address;
  return {
    key: `${endpointUrl(endpoint)}/${repo}@${revision}/${choice.weights}`,
    label: choice.weights === 'safetensors' ? repo : `${repo} · ${choice.weights}`,
    source: { kind: 'hub', endpoint, repo, revision, weights: choice.weights },
    files: choice.files,
    page: pageOf(address),
  };
}

function pageOf({ endpoint, repo }: HubAddress): string {
  return `${endpointUrl(endpoint)}/${repo}`;
}

/** Each part of the path for itself: the slashes between folders stay. */
function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function endpointUrl(endpoint: string): string {
  try {
    return absolute(endpoint.trim() || DEFAULT_ENDPOINT).href.replace(/\/+$/, '');
  } catch {
    throw new LoraletError(
      'invalid_address',
      `"${endpoint}" is not an address; write one like ${DEFAULT_ENDPOINT}`,
      { key: 'endpoint', args: { value: endpoint } },
    );
  }
}

/** All pages of the listing: each names the next in its `Link` header. */
async function readTree(base: string, address: HubAddress, link: Link): Promise<TreeEntry[]> {
  const { repo, revision } = address;
  const entries: TreeEntry[] = [];
  let url = `${base}/api/models/${repo}/tree/${encodeURIComponent(revision)}`;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const response = await get(url, repo, link, { listing: true, page: pageOf(address) });
    const json: unknown = await response.json().catch(() => null);
    if (!Array.isArray(json))
      throw new LoraletError(
        'wrong_answer',
        `${base} does not answer like the Hugging Face Hub; check the endpoint`,
        { key: base, args: { host: hostOf(base) } },
      );
    entries.push(...(json as TreeEntry[]));
    const next = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
    if (!next) return entries;
    // A mirror may hand on the Hub's own address; the pages come from where the first one came.
    url = url.split('?')[0] + new URL(next, url).search;
  }
  throw new LoraletError(
    'wrong_answer',
    `${repo} lists more files than fit ${MOST_PAGES} pages; choose another repository`,
    { key: repo, args: { host: hostOf(base) } },
  );
}

function safetensorsChoice(files: RemoteFile[]): WeightsChoice[] {
  const whole = files.filter((file) => file.name === 'model.safetensors');
  const shards = files.filter((file) =>
    /^model-\d+-of-\d+\.safetensors$|^model\.safetensors\.index\.json$/.test(file.name),
  );
  const weights = whole.length > 0 ? whole : shards;
  if (weights.length === 0 || !files.some((file) => file.name === 'config.json')) return [];
  const chosen = [...files.filter((file) => FOLDER_FILES.includes(file.name)), ...weights];
  return [{ weights: 'safetensors', label: 'Safetensors', bytes: totalBytes(chosen), files: chosen }];
}

function ggufChoices(files: RemoteFile[]): WeightsChoice[] {
  return files
    .filter((file) => file.name.endsWith('.gguf'))
    .map((file) => ({ weights: file.name, label: file.name, bytes: totalBytes([file]), files: [file] }));
}

function totalBytes(files: RemoteFile[]): number {
  return files.reduce((sum, file) => sum + (file.bytes ?? 0), 0);
}
