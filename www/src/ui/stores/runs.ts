/** Every run that this browser keeps: recorded while it goes on, compared, repeated. */
import {
  isStorageError,
  LoraletError,
  type CurvePoint,
  type Evaluation,
  type Plan,
  type RunData,
  type RunRecord,
  type RunState,
  sha256Of,
  type StepReport,
  type WorkspaceStorage,
} from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import type { DataStore } from './data.js';
import type { ModelStore } from './model.js';
import type { RecipeStore } from './recipe.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';

/** Steps between two writings of a run that goes on. */
const WRITE_EVERY = 20;
/** So many of the newest are in the chart until others are chosen. */
const SHOWN_AT_FIRST = 8;

export class RunsStore extends Store {
  /** Oldest first. */
  records: RunRecord[] = [];
  /** Files that cannot be read; they stay where they are until someone deletes them. */
  unreadable: string[] = [];
  error: Problem | null = null;
  /** Why the table will be gone with the tab, if so. */
  refused: string | null = null;
  /** What was done at the person's wish. */
  said: string | null = null;
  /** Runs in the chart, by id, once any was chosen by hand. */
  private chosen: Set<string> | null = null;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly storage: Pick<WorkspaceStorage, 'runs' | 'checkpoints'>,
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly model: ModelStore,
    private readonly data: DataStore,
  ) {
    super();
  }

  async load(): Promise<void> {
    try {
      const { records, unreadable } = await this.storage.runs.list();
      const here = this.records.filter((run) => !records.some(({ id }) => id === run.id));
      const held = await this.storage.checkpoints.openElsewhere();
      // A page that was closed could not say how its run ended; one that another tab has open goes on.
      const closed = (run: RunRecord): RunRecord =>
        run.state === 'running' && !held.has(run.id) ? { ...run, state: 'stopped' } : run;
      this.records = [...records.map(closed), ...here];
      this.unreadable = unreadable;
    } catch (error) {
      if (isStorageError(error)) this.refused = error.message;
      else this.error = problem(error);
    }
    this.changed();
  }

  get shown(): Set<string> {
    return this.chosen ?? new Set(this.records.slice(-SHOWN_AT_FIRST).map(({ id }) => id));
  }

  show(id: string, on: boolean): void {
    const chosen = new Set(this.shown);
    if (on) chosen.add(id);
    else chosen.delete(id);
    this.chosen = chosen;
    this.changed();
  }

  showOnly(ids: string[]): void {
    this.chosen = new Set(ids);
    this.changed();
  }

  /** A new run of the open model and data; answers its id. */
  begin(plan: Plan, file: RunData, sweep: string | null = null): string {
    if (!this.model.open) throw new LoraletError('not_ready', 'choose a model first', { key: 'model' });
    const startedAt = new Date().toISOString();
    const id = `${startedAt.replaceAll(/[:.]/g, '-')}-${Math.random().toString(36).slice(2, 6)}`;
    const record: RunRecord = {
      version: 1,
      id,
      startedAt,
      model: this.model.open.source,
      modelLabel: this.model.open.label,
      data: file,
      device: this.trainer.device?.kind ?? 'cpu',
      recipe: plan.recipe,
      totalSteps: plan.total_steps,
      trainableParameters: plan.trainable_parameters,
      curve: [],
      evaluation: null,
      seconds: 0,
      state: 'running',
      error: null,
      sweep,
    };
    this.records = [...this.records, record];
    this.chosen?.add(id);
    this.write(record);
    return id;
  }

  /** Goes on with a run of an earlier visit after a step of it; a run that is not here any more begins anew. */
  resume(id: string | undefined, plan: Plan, file: RunData, reports: StepReport[]): string {
    const known = this.records.find((run) => run.id === id);
    const mine = known?.id ?? this.begin(plan, file);
    const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
    // Another workspace may have taken steps since the record was read.
    this.update(mine, { curve: reports.map(point), seconds, state: 'running', error: null });
    return mine;
  }

  step(id: string, report: StepReport): void {
    const run = this.records.find((record) => record.id === id);
    if (!run) return;
    const written = this.update(id, {
      curve: [...run.curve, point(report)],
      evaluation: report.evaluation ?? run.evaluation,
      seconds: run.seconds + report.seconds,
    });
    if (written && (report.step === 1 || report.step % WRITE_EVERY === 0)) this.write(written);
  }

  /** A validation after a step, between two. */
  evaluated(id: string, step: number, evaluation: Evaluation): void {
    const run = this.records.find((record) => record.id === id);
    const curve = (run?.curve ?? []).map((at) =>
      at.step === step ? { ...at, validation: evaluation.loss } : at,
    );
    this.update(id, { curve, evaluation });
  }

  end(id: string, state: RunState, error: string | null = null): void {
    const ended = this.update(id, { state, error });
    if (ended) this.write(ended);
  }

  async forget(run: RunRecord): Promise<void> {
    await this.change(async () => {
      await this.writing;
      await this.storage.runs.delete(run.id);
      this.records = this.records.filter(({ id }) => id !== run.id);
    });
  }

  /** A file that cannot be read, as it lies there. */
  readFile(name: string): Promise<File> {
    return this.storage.runs.readFile(name);
  }

  async forgetFile(name: string): Promise<void> {
    await this.change(async () => {
      await this.storage.runs.deleteFile(name);
      this.unreadable = this.unreadable.filter((other) => other !== name);
    });
  }

  /** Puts a run's recipe into the settings and says what else it takes to repeat it. */
  async repeat(run: RunRecord): Promise<void> {
    await this.change(async () => {
      await this.recipe.replace(JSON.stringify(run.recipe));
      const missing: string[] = [];
      if (this.model.open?.label !== run.modelLabel) missing.push(`the model "${run.modelLabel}"`);
      if (this.data.open?.name !== run.data.name) missing.push(`the data "${run.data.name}"`);
      else if ((await fileOf(this.data.open)).sha256 !== run.data.sha256)
        missing.push(`the data "${run.data.name}" as it was, for the open file is another one`);
      const number = this.records.findIndex(({ id }) => id === run.id) + 1;
      this.said =
        missing.length > 0
          ? `The settings of run ${number} are in use. To repeat it, open ${missing.join(' and ')}, and press Repeat again.`
          : `The settings of run ${number} are in use, with the same model and data: start to repeat it.`;
    });
  }

  private update(id: string, changes: Partial<RunRecord>): RunRecord | undefined {
    this.records = this.records.map((run) => (run.id === id ? { ...run, ...changes } : run));
    this.changed();
    return this.records.find((run) => run.id === id);
  }

  /** One after the other, so that the last one is what stays. Training goes on if it fails. */
  private write(record: RunRecord): void {
    this.writing = this.writing
      .then(() => this.storage.runs.write(record))
      .then(
        () => (this.refused = null),
        (error: Error) => (this.refused = error.message),
      )
      .then(() => this.changed());
  }

  private async change(work: () => Promise<void>): Promise<void> {
    this.error = null;
    this.said = null;
    try {
      await work();
    } catch (error) {
      this.error = problem(error);
    }
    this.changed();
  }
}

/** Name and fingerprint of a data file. */
export async function fileOf(file: { name: string; bytes: Uint8Array<ArrayBuffer> }): Promise<RunData> {
  return { name: file.name, sha256: await sha256Of(file.bytes) };
}

function point(report: StepReport): CurvePoint {
  return { step: report.step, loss: report.loss, validation: report.evaluation?.loss ?? null };
}
