/**
 * Everything the page keeps on this device, in the origin private file system:
 *
 *     models/<key>/model.json           what it is and where it came from
 *     models/<key>/<file>/00000000      the file in segments of SEGMENT_BYTES
 *     run/<key>/                        a run that can go on, see checkpoints.ts
 *     runs/<id>.json                    a record of each run, see runs.ts
 *     picks/<model>.json                what a person picked of a model's answers, see picks.ts
 *
 * A download is kept segment by segment, so that it goes on after a reload, and a file is handed
 * out as one Blob over its segments, which copies nothing.
 *
 * What cannot be read is never deleted unasked, and what another tab writes is left to it (locks.ts).
 */
import { heldElsewhere, holding } from './locks.js';

export const SEGMENT_BYTES = 8 * 1024 * 1024;

const MODEL_LOCK = 'loralet model ';

/** Where a model came from, sufficient to open it again. */
export type ModelSource =
  | { kind: 'bundled'; name: string }
  | { kind: 'hub'; endpoint: string; repo: string; revision: string; weights: string }
  | { kind: 'local' };

export interface CachedFile {
  name: string;
  bytes: number;
  /** Changes when the file's content changes; a partial file of another version is dropped. */
  version: string;
  /** The `ETag` of the answer that a partial file came with. */
  etag?: string;
}

export interface CachedModel {
  key: string;
  label: string;
  source: ModelSource;
  files: CachedFile[];
  complete: boolean;
}

/** What the page keeps of models. */
export interface StoredModels {
  models: CachedModel[];
  /** Folders that hold something else than a model. */
  unreadable: string[];
  /** The keys of models that another tab is downloading or deleting. */
  elsewhere: Set<string>;
}

/** The browser keeps nothing for the page, or nothing more; the message goes on from "The run could not be kept:". */
export class StorageError extends Error {
  override readonly name = 'StorageError';
}

export function storageAvailable(): boolean {
  return (
    typeof navigator.storage?.getDirectory === 'function' &&
    typeof FileSystemFileHandle !== 'undefined' &&
    'createWritable' in FileSystemFileHandle.prototype
  );
}

// Models

export async function listModels(): Promise<StoredModels> {
  const found: StoredModels = { models: [], unreadable: [], elsewhere: new Set() };
  const models = await existing(['models']);
  if (!models) return found;
  const locks = [...(await heldElsewhere())].filter((name) => name.startsWith(MODEL_LOCK));
  const held = new Set(locks.map((name) => fileName(name.slice(MODEL_LOCK.length))));
  for await (const handle of models.values()) {
    if (handle.kind !== 'directory') continue;
    const model = await readJson<CachedModel>(handle, 'model.json');
    if (model?.key && Array.isArray(model.files)) {
      found.models.push(model);
      if (held.has(handle.name)) found.elsewhere.add(model.key);
    } else if (!held.has(handle.name) && !(await isEmpty(handle))) found.unreadable.push(handle.name);
  }
  found.models.sort((a, b) => a.label.localeCompare(b.label));
  return found;
}

/** Whoever brings a model into storage, or takes it away, holds this. */
export function modelLock(key: string): string {
  return MODEL_LOCK + key;
}

export async function readModel(key: string): Promise<CachedModel | null> {
  if (unkept.has(key)) return unkept.get(key)?.model ?? null;
  const place = await modelFolder(key);
  return place && readJson(place, 'model.json');
}

export async function writeModel(model: CachedModel): Promise<void> {
  await keepOr(
    model.key,
    async () => writeFile(await folder(['models', fileName(model.key)]), 'model.json', JSON.stringify(model)),
    (unkept) => (unkept.model = model),
  );
}

export async function deleteModel(model: CachedModel): Promise<void> {
  const taken = `another tab is using ${model.label}; close it there first`;
  await holding(modelLock(model.key), taken, () => deleteModelFolder(fileName(model.key)));
}

/** For a folder that holds no model. */
export async function deleteModelFolder(name: string): Promise<void> {
  await (await existing(['models']))?.removeEntry(name, { recursive: true }).catch(ignoreMissing);
}

/** How many bytes of the file are kept so far: whole segments, or the whole file. */
export async function keptBytes(key: string, file: string): Promise<number> {
  return (await segments(key, file)).reduce((sum, segment) => sum + segment.size, 0);
}

export async function writeSegment(key: string, file: string, index: number, bytes: Blob): Promise<void> {
  await keepOr(
    key,
    async () => {
      const place = await folder(['models', fileName(key), fileName(file)]);
      await writeFile(place, String(index).padStart(8, '0'), bytes);
    },
    ({ segments }) => segments.set(`${file}/${index}`, bytes),
  );
}

export async function dropFile(key: string, file: string): Promise<void> {
  const segments = unkept.get(key)?.segments;
  for (const name of segments?.keys() ?? []) if (name.startsWith(`${file}/`)) segments?.delete(name);
  const place = await modelFolder(key);
  await place?.removeEntry(fileName(file), { recursive: true }).catch(ignoreMissing);
}

/** The file as one Blob over its segments. */
export async function openFile(key: string, file: string): Promise<Blob> {
  return new Blob(await segments(key, file));
}

async function segments(key: string, file: string): Promise<Blob[]> {
  const place = await modelFolder(key, file);
  const usable: Blob[] = [];
  // Only the last segment may be short; what follows a short or missing one is not usable.
  for (;;) {
    const name = String(usable.length).padStart(8, '0');
    const stored = await place
      ?.getFileHandle(name)
      .then((handle) => handle.getFile())
      .catch(() => null);
    const segment = unkept.get(key)?.segments.get(`${file}/${usable.length}`) ?? stored;
    if (!segment) return usable;
    usable.push(segment);
    if (segment.size < SEGMENT_BYTES) return usable;
  }
}

/** Null where there is none, also where the browser keeps nothing at all. */
async function modelFolder(...names: string[]): Promise<FileSystemDirectoryHandle | null> {
  return existing(['models', ...names.map(fileName)]).catch(() => null);
}

/** A model for which there is no room, or no storage at all: what of it this tab holds in memory instead, and why. */
interface Unkept {
  reason: string;
  model: CachedModel | null;
  /** By file and place. */
  segments: Map<string, Blob>;
}

const unkept = new Map<string, Unkept>();

/** Lets this tab's memory go once the model is handed out; answers why it is not in storage, or null if it is. */
export function letGo(key: string): string | null {
  const reason = unkept.get(key)?.reason ?? null;
  unkept.delete(key);
  return reason;
}

/** Writes to storage; from the first time that fails on, all of the model goes into memory. */
async function keepOr(key: string, write: () => Promise<void>, remember: (unkept: Unkept) => void) {
  try {
    if (!unkept.has(key)) {
      await write();
      return;
    }
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    unkept.set(key, { reason: error.message, model: null, segments: new Map() });
  }
  remember(unkept.get(key) as Unkept);
}

// Files and folders

async function root(): Promise<FileSystemDirectoryHandle> {
  if (!storageAvailable()) throw new StorageError('this browser cannot keep files for a page');
  return navigator.storage.getDirectory();
}

/** A folder, made if need be. */
export async function folder(path: string[]): Promise<FileSystemDirectoryHandle> {
  return storing(async () => {
    let place = await root();
    for (const name of path) place = await place.getDirectoryHandle(name, { create: true });
    return place;
  });
}

/** A folder, or null where there is none. */
export async function existing(path: string[]): Promise<FileSystemDirectoryHandle | null> {
  return storing(async () => {
    let place = await root();
    try {
      for (const name of path) place = await place.getDirectoryHandle(name);
    } catch (error) {
      ignoreMissing(error);
      return null;
    }
    return place;
  });
}

/** The file has its new content once all of it is there, and its old one until then. */
export async function writeFile(
  place: FileSystemDirectoryHandle,
  name: string,
  content: Blob | string,
): Promise<void> {
  await storing(async () => {
    const handle = await place.getFileHandle(name, { create: true });
    try {
      const stream = await handle.createWritable();
      try {
        await stream.write(content);
        await stream.close();
      } catch (error) {
        await stream.abort().catch(() => undefined);
        throw error;
      }
    } catch (error) {
      // A file that is only made for this is empty, and says nothing to anyone.
      const { size } = await handle.getFile().catch(() => ({ size: 1 }));
      if (size === 0) await place.removeEntry(name).catch(() => undefined);
      throw error;
    }
  });
}

export async function readJson<T>(place: FileSystemDirectoryHandle, name: string): Promise<T | null> {
  try {
    const file = await (await place.getFileHandle(name)).getFile();
    return JSON.parse(await file.text()) as T;
  } catch {
    return null;
  }
}

/** Whether there is no byte in any of its files. */
export async function isEmpty(place: FileSystemDirectoryHandle): Promise<boolean> {
  for await (const handle of place.values()) {
    if (handle.kind === 'directory' ? !(await isEmpty(handle)) : (await handle.getFile()).size > 0)
      return false;
  }
  return true;
}

export function ignoreMissing(error: unknown): void {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}

/** Says in words what the browser only names. */
async function storing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof DOMException ? new StorageError(reasonOf(error), { cause: error }) : error;
  }
}

function reasonOf({ name }: DOMException): string {
  switch (name) {
    case 'QuotaExceededError':
      return 'the browser has no room left for this page; delete a stored model or free disk space';
    case 'SecurityError':
    case 'NotAllowedError':
    case 'InvalidStateError':
      return 'the browser keeps nothing for this page, as in a private window; allow it to, or use an ordinary window';
    default:
      return `the browser could not write to its storage (${name}); look whether the disk is full`;
  }
}

/** Repository ids hold slashes, which file names cannot. */
function fileName(name: string): string {
  return encodeURIComponent(name);
}
