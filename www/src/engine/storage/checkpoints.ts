/**
 * Runs that can go on, in the origin private file system, a folder a run:
 *
 *     run/<key>/run.json           the run, and which of the files below belong to it
 *     run/<key>/data               the rows it learns from
 *     run/<key>/checkpoint-<step>  where it is
 *
 * A checkpoint gets a file of its own, and counts once `run.json` names it: a tab that is closed at any moment leaves the one
 * before. An earlier version of the page kept a single run, in `run/` itself.
 */
import { LoraletError } from '../errors.js';
import type { Recipe, StepReport } from '../types.js';
import { ignoreMissing, isEmpty, readJson, writeFile, type Folders } from './files.js';
import type { Locks, Release } from './locks.js';
import type { ModelSource } from './models.js';

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
  /** The file with the checkpoint. */
  checkpoint?: string;
}

/** A run as it lies in storage. */
export interface KeptRun extends SavedRun {
  key: string;
  /** Another tab has it open. */
  elsewhere: boolean;
}

export interface KeptRuns {
  /** Latest first. */
  runs: KeptRun[];
  /** The keys of folders whose run cannot be read. */
  unreadable: string[];
}

export interface RunFiles {
  data: Uint8Array<ArrayBuffer>;
  checkpoint: Uint8Array<ArrayBuffer>;
}

const OPEN_ELSEWHERE =
  'another tab of this page has this run open; go on there, or close that tab and resume it here';
/** The run of an earlier version, and its files. */
const UNNAMED = '';
const UNNAMED_FILES = ['run.json', 'data', 'checkpoint'];
/** Whoever has a run open holds this, and its key. */
const LOCK = 'run ';

/** The runs that a workspace keeps: whoever has one open holds its lock, and the others leave it alone. */
export class Checkpoints {
  constructor(
    private readonly folders: Folders,
    private readonly locks: Locks,
  ) {}

  /** Makes the run this workspace's, until it is released; null if it is another's. */
  hold(key: string): Promise<Release | null> {
    return this.locks.hold(LOCK + key);
  }

  /** Resolves when no tab has the run open any more. */
  whenReleased(key: string): Promise<void> {
    return this.locks.whenFree(LOCK + key);
  }

  /** The keys of runs that other workspaces have open. */
  openElsewhere(): Promise<Set<string>> {
    return this.locks.heldElsewhere(LOCK);
  }

  async list(): Promise<KeptRuns> {
    const found: KeptRuns = { runs: [], unreadable: [] };
    const all = await this.folders.existing(['run']);
    if (!all) return found;
    const held = await this.openElsewhere();
    const keys = [UNNAMED];
    for await (const handle of all.values()) if (handle.kind === 'directory') keys.push(handle.name);
    for (const key of keys) {
      const run = await this.readSavedRun(key);
      const elsewhere = held.has(key);
      if (run) found.runs.push({ ...run, key, elsewhere });
      else if (!elsewhere && (await this.holdsAnything(key))) found.unreadable.push(key);
    }
    found.runs.sort((a, b) => b.savedAt.localeCompare(a.savedAt));
    return found;
  }

  /** Keeps a checkpoint instead of the one before; whoever does holds the run. */
  async save(key: string, run: SavedRun, { data, checkpoint }: RunFiles): Promise<void> {
    const place = await this.folders.make(pathOf(key));
    const name = `checkpoint-${run.step}`;
    if (!(await hasBytes(place, 'data'))) await writeFile(place, 'data', new Blob([data]));
    await writeFile(place, name, new Blob([checkpoint]));
    await writeFile(place, 'run.json', JSON.stringify({ ...run, checkpoint: name }));
    for await (const other of place.keys())
      if (other.startsWith('checkpoint') && other !== name)
        await place.removeEntry(other).catch(ignoreMissing);
  }

  async read(run: KeptRun): Promise<RunFiles> {
    const place = await this.folders.make(pathOf(run.key));
    const read = async (name: string) =>
      new Uint8Array(await (await (await place.getFileHandle(name)).getFile()).arrayBuffer());
    return { data: await read('data'), checkpoint: await read(checkpointOf(run)) };
  }

  /** Throws a sentence if another workspace has it open. */
  async delete(key: string): Promise<void> {
    await this.locks.holding(LOCK + key, OPEN_ELSEWHERE, () => this.remove(key));
  }

  /** For the one who holds it. */
  private async remove(key: string): Promise<void> {
    const all = await this.folders.existing(['run']);
    if (key !== UNNAMED) await all?.removeEntry(key, { recursive: true }).catch(ignoreMissing);
    else for (const name of UNNAMED_FILES) await all?.removeEntry(name).catch(ignoreMissing);
  }

  /** The run, if all of it is there. */
  private async readSavedRun(key: string): Promise<SavedRun | null> {
    const place = await this.folders.existing(pathOf(key));
    const run = place && (await readJson<Partial<SavedRun>>(place, 'run.json'));
    if (!place || !run || !isSavedRun(run)) return null;
    return (await hasBytes(place, checkpointOf(run))) && (await hasBytes(place, 'data')) ? run : null;
  }

  /** Whether a folder without a whole run has more in it than one that was given up before its first checkpoint, which goes. */
  private async holdsAnything(key: string): Promise<boolean> {
    const place = await this.folders.existing(pathOf(key));
    if (!place) return false;
    if (key === UNNAMED) return hasBytes(place, 'run.json');
    for await (const handle of place.values())
      if (
        handle.name !== 'data' &&
        (handle.kind === 'directory' ? !(await isEmpty(handle)) : await hasBytes(place, handle.name))
      )
        return true;
    const release = await this.hold(key);
    if (!release) return false;
    await this.remove(key).finally(release);
    return false;
  }
}

export function openElsewhere(key: string): LoraletError {
  return new LoraletError('in_use', OPEN_ELSEWHERE, { key: LOCK + key });
}

function pathOf(key: string): string[] {
  return key === UNNAMED ? ['run'] : ['run', key];
}

function checkpointOf(run: SavedRun): string {
  return run.checkpoint ?? 'checkpoint';
}

function isSavedRun(run: Partial<SavedRun>): run is SavedRun {
  const texts = [run.modelLabel, run.dataName, run.savedAt];
  return (
    texts.every((text) => typeof text === 'string') &&
    [run.step, run.totalSteps].every((step) => typeof step === 'number') &&
    [run.model, run.recipe].every((part) => typeof part === 'object') &&
    Array.isArray(run.reports)
  );
}

async function hasBytes(place: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  try {
    return (await (await place.getFileHandle(name)).getFile()).size > 0;
  } catch {
    return false;
  }
}
