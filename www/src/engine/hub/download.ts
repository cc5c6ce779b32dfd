/** Downloads model files over HTTP into storage, with progress, and going on where an earlier try ended. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { LoraletError } from '../errors.js';
import { storageAvailable } from '../storage/files.js';
import {
  SEGMENT_BYTES,
  type CachedFile,
  type CachedModel,
  type ModelSource,
  type ModelStorage,
} from '../storage/models.js';
import type { ModelFile } from '../types.js';
import { SILENCE_MS, get, hostOf, mayPass, pause, webPage, type Link } from './request.js';

export interface RemoteFile {
  name: string;
  url: string;
  /** Bytes; null where the server has not said. */
  bytes: number | null;
  version: string;
  /** The sha256 of the content, in hexadecimal, where the server's listing has it. */
  sha256?: string | null;
}

export interface Transfer {
  done: number;
  total: number;
  /** Bytes that were already kept when the transfer began. */
  resumedFrom: number;
  file: string;
  /** What is kept of the file is read again, for its sha256. */
  checking: boolean;
}

export interface DownloadJob {
  key: string;
  label: string;
  source: ModelSource;
  files: RemoteFile[];
  /** Where a person can look at the repository. */
  page?: string;
}

/** Tries without a further segment kept. */
const ATTEMPTS = 4;

/**
 * Brings every file of the job into storage and hands them out as Blobs.
 *
 * Throws one sentence; what has arrived is kept, and calling again goes on from there.
 */
export async function download(
  storage: ModelStorage,
  job: DownloadJob,
  onProgress: (transfer: Transfer) => void,
  link: Link,
): Promise<ModelFile[]> {
  if (!storageAvailable()) {
    throw new LoraletError(
      'storage',
      'this browser cannot store downloads for a page; save the files yourself and open them here',
      { key: 'missing' },
    );
  }
  const files = await Promise.all(job.files.map((file) => withSize(file, link)));
  const model: CachedModel = {
    key: job.key,
    label: job.label,
    source: job.source,
    files: await forgetOtherVersions(storage, job.key, files),
    complete: false,
  };
  await storage.write(model);
  const kept = await Promise.all(files.map((file) => storage.keptBytes(job.key, file.name)));
  const transfer: Transfer = {
    done: kept.reduce((a, b) => a + b, 0),
    total: files.reduce((sum, file) => sum + file.bytes, 0),
    resumedFrom: 0,
    file: '',
    checking: false,
  };
  transfer.resumedFrom = transfer.done;
  for (const [place, file] of files.entries()) {
    const cached = model.files[place];
    if (!cached) continue;
    const say = (changes: Partial<Transfer>) => onProgress(Object.assign(transfer, changes));
    say({ file: file.name });
    await downloadFile({ ...file, page: job.page ?? null, job: job.key, cached, storage }, link, {
      onBytes: (bytes) => say({ done: transfer.done + bytes }),
      onCheck: (checking) => say({ checking }),
      onTag: async (etag) => {
        cached.etag = etag;
        await storage.write(model);
      },
    });
  }
  await storage.write({ ...model, complete: true });
  return openCached(storage, { ...model, complete: true });
}

export async function openCached(storage: ModelStorage, model: CachedModel): Promise<ModelFile[]> {
  return Promise.all(
    model.files.map(async ({ name, bytes }) => {
      const blob = await storage.openFile(model.key, name);
      if (blob.size !== bytes) {
        throw new LoraletError(
          'incomplete',
          `${name}: the stored copy is incomplete; delete ${model.label} from storage and download it again`,
          { key: name, args: { model: model.label } },
        );
      }
      return { name, blob };
    }),
  );
}

type SizedFile = RemoteFile & { bytes: number };

async function withSize(file: RemoteFile, link: Link): Promise<SizedFile> {
  if (file.bytes !== null) return { ...file, bytes: file.bytes };
  const response = await get(file.url, file.name, link, { method: 'HEAD' });
  const bytes = Number(response.headers.get('content-length'));
  if (!bytes) {
    const message = `${file.name}: the server does not say how large it is`;
    throw new LoraletError('wrong_answer', message, { key: file.name });
  }
  return { ...file, bytes, version: response.headers.get('etag') ?? String(bytes) };
}

/** Drops what is kept of files that have changed since, and hands out how each file is to be kept now. */
async function forgetOtherVersions(
  storage: ModelStorage,
  key: string,
  files: SizedFile[],
): Promise<CachedFile[]> {
  const before = (await storage.read(key))?.files ?? [];
  const isSame = (old: CachedFile) =>
    files.some(
      ({ name, bytes, version }) => name === old.name && bytes === old.bytes && version === old.version,
    );
  for (const old of before) if (!isSame(old)) await storage.dropFile(key, old.name);
  return files.map(
    ({ name, bytes, version }) =>
      before.find((old) => old.name === name && isSame(old)) ?? { name, bytes, version },
  );
}

/** A file on its way, of the model that is kept as `job`. */
type Fetching = SizedFile & {
  job: string;
  page: string | null;
  cached: CachedFile;
  storage: ModelStorage;
};

interface Told {
  /** Bytes that came, or are to come once more; `saved` when all that came is kept. */
  onBytes: (bytes: number, saved: boolean) => void;
  onCheck: (checking: boolean) => void;
  /** The server's mark of this version of the file. */
  onTag: (etag: string) => Promise<void>;
}

async function downloadFile(file: Fetching, link: Link, told: Told): Promise<void> {
  let best = 0;
  for (let attempt = 1; ; attempt += 1) {
    const kept = await file.storage.keptBytes(file.job, file.name);
    if (kept === file.bytes) return;
    if (kept > best) attempt = 1;
    best = Math.max(best, kept);
    let unsaved = 0;
    const onBytes = (bytes: number, saved: boolean) => {
      unsaved = saved ? 0 : unsaved + bytes;
      told.onBytes(bytes, saved);
    };
    try {
      await transferFrom(file, kept, link, { ...told, onBytes });
      return;
    } catch (error) {
      told.onCheck(false);
      link.signal.throwIfAborted();
      told.onBytes(-unsaved, true);
      if (error instanceof OtherContent) {
        await forget(file);
      }
      const isWorthIt = error instanceof Interrupted || (mayPass(error) && attempt > 1);
      if (attempt === ATTEMPTS || !isWorthIt) throw error;
      await pause(500 * 2 ** attempt, link.signal);
    }
  }
}

async function forget(file: Fetching): Promise<void> {
  await file.storage.dropFile(file.job, file.name);
  delete file.cached.etag;
}

/** The connection ended early. */
class Interrupted extends LoraletError {
  constructor(file: string, message: string, cause?: unknown) {
    super('unreachable', `${file}: ${message}`, { key: file, cause });
  }
}

/** What the server sent is not what was asked for; nothing of the file is kept. */
class OtherContent extends LoraletError {
  constructor(file: string, host: string, message: string) {
    super('wrong_answer', `${file}: ${message}`, { key: file, args: { host } });
  }
}

async function transferFrom(file: Fetching, kept: number, link: Link, told: Told): Promise<void> {
  const { name, job, storage } = file;
  // Only whole segments are kept, so a short last one is written anew.
  const start = kept - (kept % SEGMENT_BYTES);
  told.onBytes(start - kept, true);
  const digest = file.sha256 ? sha256.create() : null;
  if (digest && start > 0) {
    told.onCheck(true);
    const stored = (await storage.openFile(job, name)).slice(0, start);
    await eachChunk(stored.stream(), link.signal, (chunk) => digest.update(chunk));
    told.onCheck(false);
  }
  const response = await get(file.url, name, link, {
    headers: start > 0 ? { Range: `bytes=${start}-` } : {},
    ...(file.page ? { page: file.page } : {}),
  });
  if (!response.body) throw new Interrupted(name, 'the server sent nothing');
  const host = hostOf(response.url);
  const tag = response.headers.get('etag');
  if (start > 0 && tag && file.cached.etag && tag !== file.cached.etag) {
    void response.body.cancel();
    await forget(file);
    told.onBytes(-start, true);
    throw new Interrupted(name, `it keeps changing on ${host}; press the button again later`);
  }
  if (tag && tag !== file.cached.etag) await told.onTag(tag);

  let skip = start > 0 && response.status !== 206 ? start : 0;
  let isFirst = response.status !== 206;
  let index = start / SEGMENT_BYTES;
  let segment: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let received = start;
  const broke = (error: unknown) =>
    new Interrupted(
      name,
      `the connection broke after ${Math.round(received / 1e6)} of ${Math.round(file.bytes / 1e6)} MB; press the button again to go on from there`,
      error,
    );
  await eachChunk(
    response.body,
    link.signal,
    async (value) => {
      if (isFirst && isWebPage(value)) throw webPage(name, response.url);
      isFirst = false;
      // A server without ranges sends the file from its beginning again.
      let chunk = skip > 0 ? value.subarray(Math.min(skip, value.length)) : value;
      skip -= value.length - chunk.length;
      received += chunk.length;
      if (received > file.bytes) {
        throw new OtherContent(
          name,
          host,
          `${host} sends more than the ${file.bytes} bytes that it lists, so nothing of the file was kept; it may have changed, so press the button again`,
        );
      }
      digest?.update(chunk);
      told.onBytes(chunk.length, false);
      while (chunk.length > 0) {
        const take = chunk.subarray(0, SEGMENT_BYTES - size);
        segment.push(take);
        size += take.length;
        chunk = chunk.subarray(take.length);
        // The last segment makes the file whole, so it waits until the sum is known to be right.
        if (size === SEGMENT_BYTES && index * SEGMENT_BYTES + size < file.bytes) {
          await storage.writeSegment(job, name, index++, new Blob(segment));
          segment = [];
          size = 0;
          told.onBytes(0, true);
        }
      }
    },
    broke,
  );
  if (received < file.bytes) {
    const announced = Number(response.headers.get('content-length') ?? Number.NaN);
    if (announced !== received - (response.status === 206 ? start : 0)) throw broke(null);
    throw new OtherContent(
      name,
      host,
      `${host} sent ${received} bytes where it lists ${file.bytes}, so nothing of the file was kept; it may have changed, so press the button again`,
    );
  }
  const sum = digest ? bytesToHex(digest.digest()) : null;
  if (sum !== null && sum !== file.sha256?.toLowerCase()) {
    throw new OtherContent(
      name,
      host,
      `what ${host} sent has the sha256 ${sum.slice(0, 12)}… where it lists ${file.sha256?.slice(0, 12)}…, so nothing of the file was kept; press the button again, and if it stays so, take the model from elsewhere`,
    );
  }
  if (size > 0) await storage.writeSegment(job, name, index, new Blob(segment));
}

/** Hands on what the stream brings; `broke` makes the error of a stream that fails or falls silent. */
async function eachChunk(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
  take: (chunk: Uint8Array<ArrayBuffer>) => unknown,
  broke: (error: unknown) => unknown = (error) => error,
): Promise<void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const silence = new AbortController();
      const { value, done } = await Promise.race([
        reader.read(),
        pause(SILENCE_MS, silence.signal).then(() => Promise.reject(new Error('nothing came'))),
      ])
        .catch((error: unknown) => {
          throw broke(error);
        })
        .finally(() => silence.abort());
      signal.throwIfAborted();
      if (done) return;
      await take(value);
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

function isWebPage(start: Uint8Array): boolean {
  return /^\s*<(!doctype html|html|head|body)\b/i.test(new TextDecoder().decode(start.subarray(0, 256)));
}
