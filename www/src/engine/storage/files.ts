/**
 * Files and folders in the origin private file system, of which everything that a workspace keeps is made:
 *
 *     models/<key>/model.json           what it is and where it came from, see models.ts
 *     models/<key>/<file>/00000000      the file in segments
 *     run/<key>/                        a run that can go on, see checkpoints.ts
 *     runs/<id>.json                    a record of each run, see runs.ts
 *     picks/<model>.json                what a person picked of a model's answers, see picks.ts
 *     loralet/models/…                  the models of all workspaces with a name of their own
 *     loralet/workspaces/<name>/        the rest for one of them
 *
 * What cannot be read is never deleted unasked, and what another tab writes is left to it (locks.ts).
 */

import { LoraletError } from '../errors.js';

/** The browser keeps nothing for the page, or nothing more. */
export function isStorageError(error: unknown): error is LoraletError {
  return error instanceof LoraletError && error.kind === 'storage';
}

export function storageAvailable(): boolean {
  return (
    typeof navigator.storage?.getDirectory === 'function' &&
    typeof FileSystemFileHandle !== 'undefined' &&
    'createWritable' in FileSystemFileHandle.prototype
  );
}

/** The folders of one workspace. */
export class Folders {
  /** `base`: the folder that they are in; empty for the top. */
  constructor(private readonly base: string[]) {}

  /** A folder, made if need be. */
  make(path: string[]): Promise<FileSystemDirectoryHandle> {
    return storing(async () => {
      let place = await root();
      for (const name of [...this.base, ...path])
        place = await place.getDirectoryHandle(name, { create: true });
      return place;
    });
  }

  /** A folder, or null where there is none. */
  existing(path: string[]): Promise<FileSystemDirectoryHandle | null> {
    return storing(async () => {
      let place = await root();
      try {
        for (const name of [...this.base, ...path]) place = await place.getDirectoryHandle(name);
      } catch (error) {
        ignoreMissing(error);
        return null;
      }
      return place;
    });
  }
}

/** For a workspace that keeps nothing. */
export class NoFolders extends Folders {
  constructor() {
    super([]);
  }

  override make(): Promise<FileSystemDirectoryHandle> {
    return Promise.reject(
      new LoraletError('storage', 'nothing is kept of the runs here', { key: 'unwanted' }),
    );
  }

  override existing(): Promise<null> {
    return Promise.resolve(null);
  }
}

async function root(): Promise<FileSystemDirectoryHandle> {
  if (!storageAvailable())
    throw new LoraletError('storage', 'this browser cannot keep files for a page', { key: 'missing' });
  return navigator.storage.getDirectory();
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
    throw error instanceof DOMException ? refused(error) : error;
  }
}

/** `key` is the browser's name of what is wrong. The message goes on from "The run could not be kept:". */
function refused(cause: DOMException): LoraletError {
  return new LoraletError('storage', reasonOf(cause.name), { key: cause.name, cause });
}

function reasonOf(name: string): string {
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

/** As the name of a file: ids of repositories hold slashes, which file names cannot. */
export function fileName(name: string): string {
  return encodeURIComponent(name);
}
