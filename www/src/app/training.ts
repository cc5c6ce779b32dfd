/** The run: its plan, its steps so far, its checkpoints. */
import * as opfs from '../storage/opfs.js';
import type { SavedRun } from '../storage/opfs.js';
import type { MemoryReport, Plan, StepReport } from '../types.js';
import { TrainerError, type TrainHandlers, type TrainState } from '../worker/client.js';
import { data } from './data.js';
import { model } from './model.js';
import { probe } from './probe.js';
import { ratings } from './ratings.js';
import { recipe } from './recipe.js';
import { rewardModel } from './reward-model.js';
import { fileOf, runs } from './runs.js';
import { Store, sentence } from './store.js';
import { trainer } from './trainer.js';

const CHECKPOINT_EVERY = 20;

class TrainingStore extends Store {
  state: TrainState = 'idle';
  plan: Plan | null = null;
  reports: StepReport[] = [];
  memory: MemoryReport | null = null;
  error: string | null = null;
  /** An action is on its way to the worker. */
  busy = false;
  /** A run of an earlier visit that can go on. */
  saved: SavedRun | null = null;
  savedStep = 0;
  /** Checkpoints on their way to storage. */
  savesUnderWay = 0;
  private saving: Promise<void> = Promise.resolve();
  /** The run in the run table, and whether it says there how it ended. */
  private runId: string | null = null;
  private recorded = true;
  /** Somebody else trains with the trainer. */
  private lent = false;

  get last(): StepReport | null {
    return this.reports.at(-1) ?? null;
  }

  get active(): boolean {
    return this.lent || this.state === 'running' || this.state === 'pausing' || this.state === 'stopping';
  }

  get hasAdapter(): boolean {
    return this.reports.length > 0 && this.state !== 'failed';
  }

  /** Seconds until the last step, from the pace of the last steps. */
  get secondsLeft(): number {
    const recent = this.reports.slice(-10);
    const last = this.last;
    if (!last || recent.length === 0) return Number.NaN;
    const pace = recent.reduce((sum, report) => sum + report.seconds, 0) / recent.length;
    return pace * (last.total_steps - last.step);
  }

  start(paused = false): Promise<void> {
    return this.act(async (client) => {
      if (!data.open) throw new Error('choose a data file first');
      const { bytes } = data.open;
      const file = await fileOf(data.open);
      this.plan = await client.begin(recipe.value, this.handlers, {
        paused,
        checkpointEvery: CHECKPOINT_EVERY,
        rated: true,
      });
      this.endRecord();
      this.reports = [];
      this.saved = null;
      this.savedStep = 0;
      this.record(runs.begin(this.plan, file));
      if (opfs.storageAvailable()) this.saving = this.saving.then(() => opfs.saveRunData(bytes));
      void this.watchEnd(client.finished());
    });
  }

  pause(): Promise<void> {
    return this.act((client) => client.pause());
  }

  resume(): Promise<void> {
    return this.act((client) => client.resumeLoop());
  }

  /** One step; starts a paused run if there is none. */
  async step(): Promise<void> {
    if (this.state !== 'paused') await this.start(true);
    if (!this.error) await this.act((client) => client.stepOnce());
  }

  stop(): Promise<void> {
    return this.act((client) => client.stop());
  }

  /** Model or data changed: the adapter in memory belongs to neither any more. */
  async reset(): Promise<void> {
    this.endRecord();
    this.plan = null;
    this.reports = [];
    this.error = null;
    this.state = 'idle';
    this.changed();
    if (model.open) await this.act((client) => client.resetTraining());
  }

  /** The trainer for others to train with: nothing of ours is left in it, and nothing can be started meanwhile. */
  async lend<T>(work: () => Promise<T>): Promise<T> {
    this.lent = true;
    await this.reset();
    try {
      return await work();
    } finally {
      this.lent = false;
      this.changed();
    }
  }

  async findSaved(): Promise<void> {
    if (opfs.storageAvailable()) this.saved = await opfs.readRun().catch(() => null);
    this.changed();
  }

  async discardSaved(): Promise<void> {
    this.saved = null;
    this.changed();
    await opfs.deleteRun();
  }

  /** Opens model and data of the saved run and waits, paused, where it ended. */
  async resumeSaved(): Promise<void> {
    const run = this.saved;
    if (!run) return;
    await this.act(async (client) => {
      const files = await opfs.readRunFiles();
      await recipe.replace(JSON.stringify({ ...run.recipe, device: recipe.value.device }));
      if (!(await model.openSource(run.model)) && !(run.model.kind === 'local' && model.open)) {
        throw new Error(`open the model "${run.modelLabel}" first, then resume`);
      }
      if (!(await data.read(run.dataName, files.data, null)))
        throw new Error(data.error ?? 'the data could not be read');
      const options = { paused: true, checkpointEvery: CHECKPOINT_EVERY, rated: true };
      this.plan = await client.resumeFrom(files.checkpoint, this.handlers, options);
      this.reports = run.reports.filter((report) => report.step <= run.step);
      this.savedStep = run.step;
      this.saved = null;
      this.endRecord();
      if (data.open) this.record(runs.resume(run.runId, this.plan, await fileOf(data.open), this.reports));
      if (run.step >= run.totalSteps || this.last?.finished) {
        this.state = 'finished';
        this.endRecord();
      }
      void this.watchEnd(client.finished());
    });
  }

  private readonly handlers: TrainHandlers = {
    onStep: (report) => {
      this.reports = [...this.reports, report];
      if (this.runId) runs.step(this.runId, report);
      this.changed();
      if (report.step === 1 || report.step % 5 === 0) void this.readMemory();
    },
    onRate: (prompt, answers) => ratings.ask(prompt, answers),
    onState: (state) => {
      this.state = state;
      if (!this.active) ratings.clear();
      if (state === 'finished' || state === 'stopped') this.endRecord();
      this.changed();
    },
    onCheckpoint: (bytes, step) => {
      // One after the other: each replaces the one before.
      this.savesUnderWay += 1;
      this.saving = this.saving
        .then(() => this.save(bytes, step))
        .catch(() => undefined)
        .finally(() => {
          this.savesUnderWay -= 1;
          this.changed();
        });
    },
  };

  private async save(checkpoint: Uint8Array<ArrayBuffer>, step: number): Promise<void> {
    if (!model.open || !data.open || !this.plan || !opfs.storageAvailable()) return;
    const run: SavedRun = {
      model: model.open.source,
      modelLabel: model.open.label,
      dataName: data.open.name,
      recipe: this.plan.recipe,
      reports: this.reports.filter((report) => report.step <= step),
      step,
      totalSteps: this.plan.total_steps,
      savedAt: new Date().toISOString(),
      ...(this.runId ? { runId: this.runId } : {}),
    };
    await opfs.saveRun(run, checkpoint);
    this.savedStep = step;
    this.changed();
  }

  private async watchEnd(end: Promise<unknown>): Promise<void> {
    try {
      await end;
    } catch (error) {
      ratings.clear();
      this.state = 'failed';
      this.endRecord(sentence(error));
      await this.fail(error);
    }
    await this.readMemory();
  }

  private record(runId: string): void {
    this.runId = runId;
    this.recorded = false;
  }

  /** Says how the run ended, once; one that something else takes the place of has stopped. */
  private endRecord(error: string | null = null): void {
    if (!this.runId || this.recorded) return;
    const state = this.state === 'finished' || this.state === 'failed' ? this.state : 'stopped';
    runs.end(this.runId, state, error);
    this.recorded = true;
  }

  private async readMemory(): Promise<void> {
    const client = await trainer.client();
    this.memory = await client.memory().catch(() => null);
    this.changed();
  }

  private async act(
    action: (client: Awaited<ReturnType<typeof trainer.client>>) => Promise<unknown>,
  ): Promise<void> {
    this.error = null;
    this.busy = true;
    this.changed();
    try {
      await action(await trainer.client());
    } catch (error) {
      await this.fail(error);
    } finally {
      this.busy = false;
      this.changed();
    }
  }

  /** Says what happened; a crashed trainer is replaced by a fresh one with the same model and data. */
  private async fail(error: unknown): Promise<void> {
    this.error = sentence(error);
    this.changed();
    if (!(error instanceof TrainerError) || (error.kind !== 'crashed' && error.kind !== 'worker')) return;
    await restartTrainer();
  }
}

/** A fresh trainer on the chosen device, with the model and the data that were open. */
export async function restartTrainer(): Promise<void> {
  // A model that is on its way to the old trainer has to arrive, or it would be lost with it.
  await model.settled();
  try {
    await trainer.start(recipe.value.device);
  } catch {
    return;
  }
  await model.reopen();
  await probe.reopen();
  await rewardModel.reopen();
  await data.reread();
}

export const training = new TrainingStore();
