/** Every run that this browser keeps: recorded while it goes on, compared, repeated. */
import { StorageError } from '../../engine/storage/opfs.js';
import { heldElsewhere } from '../../engine/storage/locks.js';
import { runLock } from '../../engine/storage/checkpoints.js';
import * as storage from '../../engine/storage/runs.js';
import type { RunData, RunRecord, RunState } from '../../engine/storage/runs.js';
import type { Evaluation, Plan, StepReport } from '../../engine/types.js';
import { data } from './data.js';
import { model } from './model.js';
import { recipe } from './recipe.js';
import { Store, sentence } from './store.js';
import { trainer } from './trainer.js';

/** Steps between two writings of a run that goes on. */
const WRITE_EVERY = 20;
/** So many of the newest are in the chart until others are chosen. */
const SHOWN_AT_FIRST = 8;

class RunsStore extends Store {
  /** Oldest first. */
  records: RunRecord[] = [];
  /** Files that cannot be read; they stay where they are until someone deletes them. */
  unreadable: string[] = [];
  error: string | null = null;
  /** Why the table will be gone with the tab, if so. */
  refused: string | null = null;
  /** What was done at the person's wish. */
  said: string | null = null;
  /** Runs in the chart, by id, once any was chosen by hand. */
  private chosen: Set<string> | null = null;
  private writing: Promise<void> = Promise.resolve();

  async load(): Promise<void> {
    try {
      const { records, unreadable } = await storage.listRuns();
      const here = this.records.filter((run) => !records.some(({ id }) => id === run.id));
      const held = await heldElsewhere();
      // A page that was closed could not say how its run ended; one that another tab has open goes on.
      const closed = (run: RunRecord): RunRecord =>
        run.state === 'running' && !held.has(runLock(run.id)) ? { ...run, state: 'stopped' } : run;
      this.records = [...records.map(closed), ...here];
      this.unreadable = unreadable;
    } catch (error) {
      if (error instanceof StorageError) this.refused = error.message;
      else this.error = sentence(error);
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
    if (!model.open) throw new Error('choose a model first');
    const startedAt = new Date().toISOString();
    const id = `${startedAt.replaceAll(/[:.]/g, '-')}-${Math.random().toString(36).slice(2, 6)}`;
    const record: RunRecord = {
      version: 1,
      id,
      startedAt,
      model: model.open.source,
      modelLabel: model.open.label,
      data: file,
      device: trainer.device?.kind ?? 'cpu',
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
    const last = reports.at(-1)?.step ?? 0;
    const curve = known ? known.curve.filter(({ step }) => step <= last) : reports.map(point);
    const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
    this.update(mine, { curve, seconds, state: 'running', error: null });
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
      await storage.deleteRunRecord(run.id);
      this.records = this.records.filter(({ id }) => id !== run.id);
    });
  }

  async forgetFile(name: string): Promise<void> {
    await this.change(async () => {
      await storage.deleteRunFile(name);
      this.unreadable = this.unreadable.filter((other) => other !== name);
    });
  }

  /** Puts a run's recipe into the settings and says what else it takes to repeat it. */
  async repeat(run: RunRecord): Promise<void> {
    await this.change(async () => {
      await recipe.replace(JSON.stringify(run.recipe));
      const missing: string[] = [];
      if (model.open?.label !== run.modelLabel) missing.push(`the model "${run.modelLabel}"`);
      if (data.open?.name !== run.data.name) missing.push(`the data "${run.data.name}"`);
      else if ((await fileOf(data.open)).sha256 !== run.data.sha256)
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
      .then(() => storage.writeRunRecord(record))
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
      this.error = sentence(error);
    }
    this.changed();
  }
}

/** Name and fingerprint of a data file. */
export async function fileOf(file: { name: string; bytes: Uint8Array<ArrayBuffer> }): Promise<RunData> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', file.bytes));
  return { name: file.name, sha256: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
}

function point(report: StepReport): storage.CurvePoint {
  return { step: report.step, loss: report.loss, validation: report.evaluation?.loss ?? null };
}

export const runs = new RunsStore();
