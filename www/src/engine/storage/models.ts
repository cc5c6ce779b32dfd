/**
 * The models that a workspace keeps: `models/<key>/model.json` and, beside it, a folder of segments for each file.
 *
 * A download is kept segment by segment, so that it goes on after a reload, and a file is handed
 * out as one Blob over its segments, which copies nothing.
 */
import {
  fileName,
  ignoreMissing,
  isEmpty,
  isStorageError,
  readJson,
  writeFile,
  type Folders,
} from './files.js';
import type { Locks } from './locks.js';

export const SEGMENT_BYTES = 8 * 1024 * 1024;

const LOCK = 'model ';

/** Where a model came from, sufficient to open it again. */
export type ModelSource =
  | { kind: 'bundled'; name: string }
  | { kind: 'hub'; endpoint: string; repo: string; revision: string; weights: string }
  /** A GGUF file, or a folder as on the Hub. */
  | { kind: 'url'; url: string }
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

/** A model for which there is no room, or no storage at all: what of it this tab holds in memory instead, and why. */
interface Unkept {
  reason: string;
  model: CachedModel | null;
  /** By file and place. */
  segments: Map<string, Blob>;
}

/** Two of one name, in two tabs or in one, see each other's models and write none at the same time. */
export class ModelStorage {
  private readonly unkept = new Map<string, Unkept>();

  constructor(
    private readonly folders: Folders,
    private readonly locks: Locks,
  ) {}

  async list(): Promise<StoredModels> {
    const found: StoredModels = { models: [], unreadable: [], elsewhere: new Set() };
    const models = await this.folders.existing(['models']);
    if (!models) return found;
    const held = new Set([...(await this.locks.heldElsewhere(LOCK))].map(fileName));
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

  /** Brings a model into storage, or takes it away, while nobody else does; throws `taken` where somebody does. */
  alone<T>(key: string, taken: string, work: () => Promise<T>): Promise<T> {
    return this.locks.holding(LOCK + key, taken, work);
  }

  /** Resolves once nobody brings the model into storage any more. */
  whenFree(key: string): Promise<void> {
    return this.locks.whenFree(LOCK + key);
  }

  async read(key: string): Promise<CachedModel | null> {
    const unkept = this.unkept.get(key);
    if (unkept) return unkept.model;
    const place = await this.folder(key);
    return place && readJson(place, 'model.json');
  }

  async write(model: CachedModel): Promise<void> {
    await this.keepOr(
      model.key,
      async () =>
        writeFile(
          await this.folders.make(['models', fileName(model.key)]),
          'model.json',
          JSON.stringify(model),
        ),
      (unkept) => (unkept.model = model),
    );
  }

  async delete(model: CachedModel): Promise<void> {
    const taken = `another tab is using ${model.label}; close it there first`;
    await this.alone(model.key, taken, () => this.deleteFolder(fileName(model.key)));
  }

  /** For a folder that holds no model. */
  async deleteFolder(name: string): Promise<void> {
    const models = await this.folders.existing(['models']);
    await models?.removeEntry(name, { recursive: true }).catch(ignoreMissing);
  }

  /** How many bytes of the file are kept so far: whole segments, or the whole file. */
  async keptBytes(key: string, file: string): Promise<number> {
    return (await this.segments(key, file)).reduce((sum, segment) => sum + segment.size, 0);
  }

  async writeSegment(key: string, file: string, index: number, bytes: Blob): Promise<void> {
    await this.keepOr(
      key,
      async () => {
        const place = await this.folders.make(['models', fileName(key), fileName(file)]);
        await writeFile(place, segmentName(index), bytes);
      },
      ({ segments }) => segments.set(`${file}/${index}`, bytes),
    );
  }

  async dropFile(key: string, file: string): Promise<void> {
    const segments = this.unkept.get(key)?.segments;
    for (const name of segments?.keys() ?? []) if (name.startsWith(`${file}/`)) segments?.delete(name);
    const place = await this.folder(key);
    await place?.removeEntry(fileName(file), { recursive: true }).catch(ignoreMissing);
  }

  /** The file as one Blob over its segments. */
  async openFile(key: string, file: string): Promise<Blob> {
    return new Blob(await this.segments(key, file));
  }

  /** Lets this tab's memory go once the model is handed out; answers why it is not in storage, or null if it is. */
  letGo(key: string): string | null {
    const reason = this.unkept.get(key)?.reason ?? null;
    this.unkept.delete(key);
    return reason;
  }

  private async segments(key: string, file: string): Promise<Blob[]> {
    const place = await this.folder(key, file);
    const usable: Blob[] = [];
    // Only the last segment may be short; what follows a short or missing one is not usable.
    for (;;) {
      const stored = await place
        ?.getFileHandle(segmentName(usable.length))
        .then((handle) => handle.getFile())
        .catch(() => null);
      const segment = this.unkept.get(key)?.segments.get(`${file}/${usable.length}`) ?? stored;
      if (!segment) return usable;
      usable.push(segment);
      if (segment.size < SEGMENT_BYTES) return usable;
    }
  }

  /** Null where there is none, also where the browser keeps nothing at all. */
  private async folder(...names: string[]): Promise<FileSystemDirectoryHandle | null> {
    return this.folders.existing(['models', ...names.map(fileName)]).catch(() => null);
  }

  /** Writes to storage; from the first time that fails on, all of the model goes into memory. */
  private async keepOr(
    key: string,
    write: () => Promise<void>,
    remember: (unkept: Unkept) => void,
  ): Promise<void> {
    try {
      if (!this.unkept.has(key)) {
        await write();
        return;
      }
    } catch (error) {
      if (!isStorageError(error)) throw error;
      this.unkept.set(key, { reason: error.message, model: null, segments: new Map() });
    }
    remember(this.unkept.get(key) as Unkept);
  }
}

function segmentName(index: number): string {
  return String(index).padStart(8, '0');
}
