/**
 * Everything the page keeps on this device, in the origin private file system:
 *
 *     models/<key>/model.json           what it is and where it came from
 *     models/<key>/<file>/00000000      the file in segments of SEGMENT_BYTES
 *     run/run.json, data, checkpoint    the last training run
 *     runs/<id>.json                    a record of each run, see runs.ts
 *     picks/<model>.json                what a person picked of a model's answers, see picks.ts
 *
 * A download is kept segment by segment, so that it goes on after a reload, and a file is handed
 * out as one Blob over its segments, which copies nothing.
 */
import type { Recipe, StepReport } from '../types.js';

export const SEGMENT_BYTES = 8 * 1024 * 1024;

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

export interface SavedRun {
  model: ModelSource;
  modelLabel: string;
  dataName: string;
  recipe: Recipe;
  reports: StepReport[];
  step: number;
  totalSteps: number;
  savedAt: string;
  /** Its record in the run table. */
  runId?: string;
}

export function storageAvailable(): boolean {
  return (
    typeof navigator.storage?.getDirectory === 'function' &&
    typeof FileSystemFileHandle !== 'undefined' &&
    'createWritable' in FileSystemFileHandle.prototype
  );
}

// Models

export async function listModels(): Promise<CachedModel[]> {
  const models = await folder(['models']);
  const found: CachedModel[] = [];
  for await (const handle of models.values()) {
    if (handle.kind !== 'directory') continue;
    const model = await readJson<CachedModel>(handle, 'model.json');
    if (model) found.push(model);
    else await models.removeEntry(handle.name, { recursive: true });
  }
  return found.sort((a, b) => a.label.localeCompare(b.label));
}

export async function readModel(key: string): Promise<CachedModel | null> {
  return readJson(await folder(['models', fileName(key)]), 'model.json');
}

export async function writeModel(model: CachedModel): Promise<void> {
  await writeFile(await folder(['models', fileName(model.key)]), 'model.json', JSON.stringify(model));
}

export async function deleteModel(key: string): Promise<void> {
  await (await folder(['models'])).removeEntry(fileName(key), { recursive: true });
}

/** How many bytes of the file are kept so far: whole segments, or the whole file. */
export async function keptBytes(key: string, file: string): Promise<number> {
  return (await segments(key, file)).reduce((sum, segment) => sum + segment.size, 0);
}

export async function writeSegment(key: string, file: string, index: number, bytes: Blob): Promise<void> {
  const place = await folder(['models', fileName(key), fileName(file)]);
  await writeFile(place, String(index).padStart(8, '0'), bytes);
}

export async function dropFile(key: string, file: string): Promise<void> {
  const place = await folder(['models', fileName(key)]);
  await place.removeEntry(fileName(file), { recursive: true }).catch(ignoreMissing);
}

/** The file as one Blob over its segments. */
export async function openFile(key: string, file: string): Promise<Blob> {
  return new Blob(await segments(key, file));
}

async function segments(key: string, file: string): Promise<File[]> {
  const place = await folder(['models', fileName(key), fileName(file)]);
  const handles: FileSystemFileHandle[] = [];
  for await (const handle of place.values()) if (handle.kind === 'file') handles.push(handle);
  handles.sort((a, b) => a.name.localeCompare(b.name));
  const files = await Promise.all(handles.map((handle) => handle.getFile()));
  // Only the last segment may be short; what follows a short or missing one is not usable.
  let usable = 0;
  while (usable < files.length && Number(handles[usable]?.name) === usable) {
    usable += 1;
    if ((files[usable - 1]?.size ?? 0) < SEGMENT_BYTES) break;
  }
  return files.slice(0, usable);
}

// The last run

export async function saveRun(run: SavedRun, checkpoint: Uint8Array<ArrayBuffer>): Promise<void> {
  const place = await folder(['run']);
  await writeFile(place, 'checkpoint', new Blob([checkpoint]));
  await writeFile(place, 'run.json', JSON.stringify(run));
}

export async function saveRunData(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const place = await folder(['run']);
  await place.removeEntry('run.json').catch(ignoreMissing);
  await writeFile(place, 'data', new Blob([bytes]));
}

export async function readRun(): Promise<SavedRun | null> {
  return readJson(await folder(['run']), 'run.json');
}

export async function readRunFiles(): Promise<{
  data: Uint8Array<ArrayBuffer>;
  checkpoint: Uint8Array<ArrayBuffer>;
}> {
  const place = await folder(['run']);
  const read = async (name: string) =>
    new Uint8Array(await (await (await place.getFileHandle(name)).getFile()).arrayBuffer());
  return { data: await read('data'), checkpoint: await read('checkpoint') };
}

export async function deleteRun(): Promise<void> {
  await (await navigator.storage.getDirectory()).removeEntry('run', { recursive: true }).catch(ignoreMissing);
}

// Files and folders

export async function folder(path: string[]): Promise<FileSystemDirectoryHandle> {
  let place = await navigator.storage.getDirectory();
  for (const name of path) place = await place.getDirectoryHandle(name, { create: true });
  return place;
}

export async function writeFile(
  place: FileSystemDirectoryHandle,
  name: string,
  content: Blob | string,
): Promise<void> {
  const stream = await (await place.getFileHandle(name, { create: true })).createWritable();
  try {
    await stream.write(content);
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => undefined);
    if (error instanceof DOMException && error.name === 'QuotaExceededError') {
      throw new Error(
        'the browser has no room left for this page; delete a stored model or free disk space',
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

async function readJson<T>(place: FileSystemDirectoryHandle, name: string): Promise<T | null> {
  try {
    const file = await (await place.getFileHandle(name)).getFile();
    return JSON.parse(await file.text()) as T;
  } catch {
    return null;
  }
}

/** Repository ids hold slashes, which file names cannot. */
function fileName(name: string): string {
  return encodeURIComponent(name);
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}
