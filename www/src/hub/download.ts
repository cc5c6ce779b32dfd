/** Downloads model files over HTTP into storage, with progress, and going on where an earlier try ended. */
import {
  SEGMENT_BYTES,
  dropFile,
  keptBytes,
  openFile,
  readModel,
  storageAvailable,
  writeModel,
  writeSegment,
  type CachedFile,
  type CachedModel,
  type ModelSource,
} from '../storage/opfs.js';
import type { ModelFile } from '../types.js';

export interface RemoteFile {
  name: string;
  url: string;
  /** Bytes; null where the server has not said. */
  bytes: number | null;
  version: string;
}

export interface Transfer {
  done: number;
  total: number;
  /** Bytes that were already kept when the transfer began. */
  resumedFrom: number;
  file: string;
}

export interface DownloadJob {
  key: string;
  label: string;
  source: ModelSource;
  files: RemoteFile[];
}

const ATTEMPTS = 4;

/**
 * Brings every file of the job into storage and hands them out as Blobs.
 *
 * Throws one sentence; what has arrived is kept, and calling again goes on from there.
 */
export async function download(
  job: DownloadJob,
  onProgress: (transfer: Transfer) => void,
  signal: AbortSignal,
): Promise<ModelFile[]> {
  if (!storageAvailable()) {
    throw new Error(
      'this browser cannot store downloads for a page; save the files yourself and open them here',
    );
  }
  const files = await Promise.all(job.files.map((file) => withSize(file, signal)));
  await forgetOtherVersions(job.key, files);
  const model: CachedModel = {
    key: job.key,
    label: job.label,
    source: job.source,
    files: files.map(({ name, bytes, version }): CachedFile => ({ name, bytes, version })),
    complete: false,
  };
  await writeModel(model);
  const kept = await Promise.all(files.map((file) => keptBytes(job.key, file.name)));
  const transfer: Transfer = {
    done: kept.reduce((a, b) => a + b, 0),
    total: files.reduce((sum, file) => sum + file.bytes, 0),
    resumedFrom: 0,
    file: '',
  };
  transfer.resumedFrom = transfer.done;
  for (const file of files) {
    transfer.file = file.name;
    onProgress({ ...transfer });
    await downloadFile(job.key, file, signal, (bytes) => {
      transfer.done += bytes;
      onProgress({ ...transfer });
    });
  }
  await writeModel({ ...model, complete: true });
  return openCached({ ...model, complete: true });
}

export async function openCached(model: CachedModel): Promise<ModelFile[]> {
  return Promise.all(
    model.files.map(async ({ name, bytes }) => {
      const blob = await openFile(model.key, name);
      if (blob.size !== bytes) {
        throw new Error(
          `${name}: the stored copy is incomplete; delete ${model.label} from storage and download it again`,
        );
      }
      return { name, blob };
    }),
  );
}

/** `fetch` whose failures are sentences that name the file. */
export async function get(url: string, what: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Error(
      `${what}: ${new URL(url, location.href).host} could not be reached; check the address and the connection`,
      {
        cause: error,
      },
    );
  }
  if (response.status === 401 || response.status === 403) {
    throw new Error(
      `${what}: the server does not give it out without signing in (${response.status}); choose a public model`,
    );
  }
  if (response.status === 404)
    throw new Error(`${what}: not found on the server; check the name and the revision`);
  if (!response.ok) throw new Error(`${what}: the server answered ${response.status}; try again later`);
  return response;
}

type SizedFile = RemoteFile & { bytes: number };

async function withSize(file: RemoteFile, signal: AbortSignal): Promise<SizedFile> {
  if (file.bytes !== null) return { ...file, bytes: file.bytes };
  const response = await get(file.url, file.name, { method: 'HEAD', signal });
  const bytes = Number(response.headers.get('content-length'));
  if (!bytes) throw new Error(`${file.name}: the server does not say how large it is`);
  return { ...file, bytes, version: response.headers.get('etag') ?? String(bytes) };
}

async function forgetOtherVersions(key: string, files: SizedFile[]): Promise<void> {
  const before = await readModel(key);
  if (!before) return;
  for (const old of before.files) {
    const now = files.find((file) => file.name === old.name);
    if (now?.bytes !== old.bytes || now.version !== old.version) await dropFile(key, old.name);
  }
}

async function downloadFile(
  key: string,
  file: SizedFile,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const kept = await keptBytes(key, file.name);
    if (kept === file.bytes) return;
    let unsaved = 0;
    try {
      await transferFrom(key, file, kept, signal, (bytes, saved) => {
        unsaved = saved ? 0 : unsaved + bytes;
        onBytes(bytes);
      });
      return;
    } catch (error) {
      signal.throwIfAborted();
      onBytes(-unsaved);
      if (attempt === ATTEMPTS || !(error instanceof Interrupted)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}

class Interrupted extends Error {}

async function transferFrom(
  key: string,
  file: SizedFile,
  kept: number,
  signal: AbortSignal,
  onBytes: (bytes: number, saved: boolean) => void,
): Promise<void> {
  // Only whole segments are kept, so a short last one is written anew.
  const start = kept - (kept % SEGMENT_BYTES);
  onBytes(start - kept, true);
  const response = await get(file.url, file.name, {
    signal,
    headers: start > 0 ? { Range: `bytes=${start}-` } : {},
  });
  if (!response.body) throw new Interrupted(`${file.name}: the server sent nothing`);
  let skip = start > 0 && response.status !== 206 ? start : 0;
  let index = start / SEGMENT_BYTES;
  let segment: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let received = start;
  const reader = response.body.getReader();
  for (;;) {
    const { value, done } = await reader.read().catch((error: unknown) => {
      throw new Interrupted(
        `${file.name}: the connection broke after ${Math.round(received / 1e6)} of ${Math.round(file.bytes / 1e6)} MB; press the button again to go on from there`,
        { cause: error },
      );
    });
    if (done) break;
    // A server without ranges sends the file from its beginning again.
    let chunk = skip > 0 ? value.subarray(Math.min(skip, value.length)) : value;
    skip -= value.length - chunk.length;
    received += chunk.length;
    onBytes(chunk.length, false);
    while (chunk.length > 0) {
      const take = chunk.subarray(0, SEGMENT_BYTES - size);
      segment.push(take);
      size += take.length;
      chunk = chunk.subarray(take.length);
      if (size === SEGMENT_BYTES) {
        await writeSegment(key, file.name, index++, new Blob(segment));
        segment = [];
        size = 0;
        onBytes(0, true);
      }
    }
  }
  if (received !== file.bytes) {
    throw new Interrupted(
      `${file.name}: ${received} of ${file.bytes} bytes arrived; press the button again to go on from there`,
    );
  }
  if (size > 0) await writeSegment(key, file.name, index, new Blob(segment));
}
