/**
 * The records of runs: `runs/<id>.json`, one file a run.
 *
 * A file that cannot be read is never deleted unasked: it may be of another version of the page.
 */
import type { Evaluation, Recipe } from '../types.js';
import { writeFile, type Folders } from './files.js';
import type { ModelSource } from './models.js';

export type RunState = 'running' | 'finished' | 'stopped' | 'failed' | 'outdone';

/** What a run was and what came of it; its weights are elsewhere, if they are kept at all. */
export interface RunRecord {
  version: 1;
  id: string;
  startedAt: string;
  model: ModelSource;
  modelLabel: string;
  data: RunData;
  /** What it computed on. */
  device: string;
  recipe: Recipe;
  totalSteps: number;
  trainableParameters: number;
  curve: CurvePoint[];
  /** The last validation. */
  evaluation: Evaluation | null;
  /** Spent in its steps. */
  seconds: number;
  state: RunState;
  error: string | null;
  /** The sweep it belongs to, if any. */
  sweep: string | null;
}

export interface RunData {
  name: string;
  /** A digest of the file's bytes, so that another file of the same name is noticed. */
  sha256: string;
}

export interface CurvePoint {
  step: number;
  loss: number;
  validation: number | null;
}

export interface StoredRuns {
  records: RunRecord[];
  /** File names of runs that cannot be read. */
  unreadable: string[];
}

export class RunStorage {
  constructor(private readonly folders: Folders) {}

  async list(): Promise<StoredRuns> {
    const found: StoredRuns = { records: [], unreadable: [] };
    const place = await this.folders.existing(['runs']);
    if (!place) return found;
    for await (const handle of place.values()) {
      if (handle.kind !== 'file' || !handle.name.endsWith('.json')) continue;
      const record = await readRecord(handle);
      if (record) found.records.push(record);
      else found.unreadable.push(handle.name);
    }
    found.records.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
    return found;
  }

  async write(record: RunRecord): Promise<void> {
    await writeFile(await this.folders.make(['runs']), fileOf(record.id), JSON.stringify(record));
  }

  async delete(id: string): Promise<void> {
    await this.deleteFile(fileOf(id));
  }

  /** As it lies there, for a person to look at. */
  async readFile(name: string): Promise<File> {
    return (await (await this.folders.make(['runs'])).getFileHandle(name)).getFile();
  }

  async deleteFile(name: string): Promise<void> {
    await (await this.folders.make(['runs'])).removeEntry(name);
  }
}

async function readRecord(handle: FileSystemFileHandle): Promise<RunRecord | null> {
  try {
    const value: unknown = JSON.parse(await (await handle.getFile()).text());
    // Under another name it would be deleted and overwritten as something else.
    return isRecord(value) && fileOf(value.id) === handle.name ? value : null;
  } catch {
    return null;
  }
}

/** Whether the table can show it; whether its recipe still makes sense is the trainer's to say. */
function isRecord(value: unknown): value is RunRecord {
  if (!isObject(value)) return false;
  const texts = [value.id, value.startedAt, value.modelLabel, value.device, value.state];
  const numbers = [value.totalSteps, value.trainableParameters, value.seconds];
  const { model, data, recipe, curve, evaluation } = value;
  return (
    value.version === 1 &&
    texts.every((text) => typeof text === 'string') &&
    numbers.every((number) => typeof number === 'number') &&
    [model, recipe].every(isObject) &&
    isObject(data) &&
    typeof data.name === 'string' &&
    typeof data.sha256 === 'string' &&
    Array.isArray(curve) &&
    curve.every(isPoint) &&
    (evaluation === null || (isObject(evaluation) && typeof evaluation.loss === 'number'))
  );
}

function isPoint(value: unknown): value is CurvePoint {
  if (!isObject(value)) return false;
  const { step, loss, validation } = value;
  const isLoss = validation === null || typeof validation === 'number';
  return typeof step === 'number' && typeof loss === 'number' && isLoss;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fileOf(id: string): string {
  return `${encodeURIComponent(id)}.json`;
}
