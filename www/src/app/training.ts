/** The run: its plan, its steps so far, its checkpoints. */
import * as opfs from '../storage/opfs.js';
import type { ModelSource, SavedRun } from '../storage/opfs.js';
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

/** What belongs to one run: a checkpoint may still be on its way to storage when the next run has begun. */
interface Run {
  plan: Plan | null;
  reports: StepReport[];
  /** The step of its latest checkpoint in storage. */
  savedStep: number;
  model: { source: ModelSource; label: string };
  dataName: string;
  /** Its record in the run table, and whether it says there how it ended. */
  id: string | null;
  recorded: boolean;
}

class TrainingStore extends Store {
  state: TrainState = 'idle';
  memory: MemoryReport | null = null;
  error: string | null = null;
  /** An action is on its way to the worker. */
  busy = false;
  /** A run of an earlier visit that can go on. */
  saved: SavedRun | null = null;
  /** Checkpoints on their way to storage. */
  savesUnderWay = 0;
  private saving: Promise<void> = Promise.resolve();
  private run: Run | null = null;
  /** Somebody else trains with the trainer. */
  private lent = false;

  get plan(): Plan | null {
    return this.run?.plan ?? null;
  }

  get reports(): StepReport[] {
    return this.run?.reports ?? [];
  }

  get savedStep(): number {
    return this.run?.savedStep ?? 0;
  }

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
      const run = newRun();
      const options = { paused, checkpointEvery: CHECKPOINT_EVERY, rated: true };
      run.plan = await client.begin(recipe.value, this.handlersOf(run), options);
      this.replaceRun(run);
      this.saved = null;
      run.id = runs.begin(run.plan, file);
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
    this.replaceRun(null);
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
    const saved = this.saved;
    if (!saved) return;
    await this.act(async (client) => {
      const files = await opfs.readRunFiles();
      await recipe.replace(JSON.stringify({ ...saved.recipe, device: recipe.value.device }));
      if (!(await model.openSource(saved.model)) && !(saved.model.kind === 'local' && model.open)) {
        throw new Error(`open the model "${saved.modelLabel}" first, then resume`);
      }
      if (!(await data.read(saved.dataName, files.data, null)))
        throw new Error(data.error ?? 'the data could not be read');
      const run = newRun();
      const options = { paused: true, checkpointEvery: CHECKPOINT_EVERY, rated: true };
      run.plan = await client.resumeFrom(files.checkpoint, this.handlersOf(run), options);
      run.reports = saved.reports.filter((report) => report.step <= saved.step);
      run.savedStep = saved.step;
      this.replaceRun(run);
      this.saved = null;
      if (data.open) run.id = runs.resume(saved.runId, run.plan, await fileOf(data.open), run.reports);
      if (saved.step >= saved.totalSteps || this.last?.finished) {
        this.state = 'finished';
        this.endRecord();
      }
      void this.watchEnd(client.finished());
    });
  }

  private handlersOf(run: Run): TrainHandlers {
    return {
      onStep: (report) => {
        run.reports = [...run.reports, report];
        if (run.id) runs.step(run.id, report);
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
          .then(() => this.save(run, bytes, step))
          .catch(() => undefined)
          .finally(() => {
            this.savesUnderWay -= 1;
            this.changed();
          });
      },
    };
  }

  private async save(run: Run, checkpoint: Uint8Array<ArrayBuffer>, step: number): Promise<void> {
    if (!run.plan || !opfs.storageAvailable()) return;
    const saved: SavedRun = {
      model: run.model.source,
      modelLabel: run.model.label,
      dataName: run.dataName,
      recipe: run.plan.recipe,
      reports: run.reports.filter((report) => report.step <= step),
      step,
      totalSteps: run.plan.total_steps,
      savedAt: new Date().toISOString(),
      ...(run.id ? { runId: run.id } : {}),
    };
    await opfs.saveRun(saved, checkpoint);
    run.savedStep = step;
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

  private replaceRun(run: Run | null): void {
    this.endRecord();
    this.run = run;
  }

  /** Says how the run ended, once; one that something else takes the place of has stopped. */
  private endRecord(error: string | null = null): void {
    const { run } = this;
    if (!run?.id || run.recorded) return;
    const state = this.state === 'finished' || this.state === 'failed' ? this.state : 'stopped';
    runs.end(run.id, state, error);
    run.recorded = true;
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

/** A run of what is open now. */
function newRun(): Run {
  if (!model.open || !data.open) throw new Error('choose a model and a data file first');
  return {
    plan: null,
    reports: [],
    savedStep: 0,
    model: { source: model.open.source, label: model.open.label },
    dataName: data.open.name,
    id: null,
    recorded: false,
  };
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
