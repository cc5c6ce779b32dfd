/** The run: its plan, its steps so far, its checkpoints. */
import {
  openElsewhere,
  type Checkpoints,
  type KeptRun,
  type SavedRun,
} from '../../engine/storage/checkpoints.js';
import type { ModelSource } from '../../engine/storage/models.js';
import type { MemoryReport, Plan, StepReport } from '../../engine/types.js';
import type { TrainHandlers, TrainState, TrainerClient } from '../../engine/client.js';
import type { DataStore } from './data.js';
import { Keeper } from './keeper.js';
import type { ModelStore } from './model.js';
import type { RatingStore } from './ratings.js';
import type { RecipeStore } from './recipe.js';
import { fileOf, type RunsStore } from './runs.js';
import { Store, sentence } from './store.js';
import type { TrainerStore } from './trainer.js';

const CHECKPOINT_EVERY = 20;

/** What belongs to one run: a checkpoint may still be on its way to storage when the next run has begun. */
interface Run {
  plan: Plan | null;
  reports: StepReport[];
  /** Where its checkpoints go; null until it has begun. */
  keeper: Keeper | null;
  model: { source: ModelSource; label: string };
  dataName: string;
  /** Its record in the run table, and whether it says there how it ended. */
  id: string | null;
  recorded: boolean;
}

export class TrainingStore extends Store {
  state: TrainState = 'idle';
  memory: MemoryReport | null = null;
  error: string | null = null;
  /** A run of an earlier visit that can go on. */
  saved: KeptRun | null = null;
  /** The keys of kept runs that cannot be read. */
  unreadable: string[] = [];
  private run: Run | null = null;
  /** The keys of this tab's runs before, whose place in storage the next one takes. */
  private former: Promise<string>[] = [];
  /** Somebody else trains with the trainer. */
  private lent = false;
  /** An action is on its way to the worker. */
  private acting = false;
  /** The trainer is being replaced. */
  private replacing = false;

  constructor(
    private readonly checkpoints: Checkpoints,
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly model: ModelStore,
    private readonly data: DataStore,
    private readonly ratings: RatingStore,
    private readonly runs: RunsStore,
  ) {
    super();
  }

  /** Nothing can be asked of the trainer now. */
  get busy(): boolean {
    return this.acting || this.replacing;
  }

  get plan(): Plan | null {
    return this.run?.plan ?? null;
  }

  get reports(): StepReport[] {
    return this.run?.reports ?? [];
  }

  /** The step of the latest checkpoint. */
  get savedStep(): number {
    return this.run?.keeper?.savedStep ?? 0;
  }

  /** Checkpoints on their way to storage. */
  get savesUnderWay(): number {
    return this.run?.keeper?.underWay ?? 0;
  }

  /** Whether the run is in storage as it stands. */
  get isKept(): boolean {
    return this.unkept === null && this.savesUnderWay === 0 && this.savedStep === this.last?.step;
  }

  /** Why the run is not in storage; a sentence. */
  get unkept(): string | null {
    const error = this.run?.keeper?.error ?? null;
    return error && `The run could not be kept: ${error}; download the adapter when it is done.`;
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

  /** What the tuned model does instead of writing an answer. */
  get judges(): 'classify' | 'reward' | null {
    const objective = this.plan?.recipe.objective;
    if (objective === 'classify' || objective === 'reward') return objective;
    const labels = this.model.open?.report.labels ?? [];
    if (labels.length > 0) return labels.length > 1 ? 'classify' : 'reward';
    return null;
  }

  /** Whether texts are compared here instead of answered or judged. */
  get comparesTexts(): boolean {
    const objective = this.plan?.recipe.objective;
    return objective ? objective === 'contrastive' : this.model.isEncoder && this.judges === null;
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
      if (!this.data.open) throw new Error('choose a data file first');
      const { bytes } = this.data.open;
      const file = await fileOf(this.data.open);
      const run = this.newRun();
      const options = { paused, checkpointEvery: CHECKPOINT_EVERY, rated: true };
      run.plan = await client.begin(this.recipe.value, this.handlersOf(run), options);
      this.replaceRun(run);
      const id = (run.id = this.runs.begin(run.plan, file));
      const replaces = this.former.splice(0);
      if (this.saved && !this.saved.elsewhere) replaces.push(Promise.resolve(this.saved.key));
      this.saved = null;
      const changed = () => this.changed();
      run.keeper = new Keeper(
        this.checkpoints,
        id,
        bytes,
        this.checkpoints.hold(id),
        Promise.all(replaces),
        changed,
      );
      void this.watchEnd(run, client.finished());
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
    if (this.model.open) await this.act((client) => client.resetTraining());
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

  /** Looks for runs of earlier visits, and of other tabs, until which it waits. */
  async findSaved(): Promise<void> {
    const { runs: kept, unreadable } = await this.checkpoints
      .list()
      .catch(() => ({ runs: [], unreadable: [] }));
    const others = kept.filter(({ key }) => key !== this.run?.keeper?.key);
    this.saved = others.find(({ elsewhere }) => !elsewhere) ?? others[0] ?? null;
    this.unreadable = unreadable;
    this.changed();
    if (this.saved?.elsewhere)
      void this.checkpoints.whenReleased(this.saved.key).then(() => this.findSaved());
  }

  /** Deletes a kept run, because a person wants it. */
  async discard(key: string): Promise<void> {
    this.error = null;
    try {
      await this.checkpoints.delete(key);
    } catch (error) {
      this.error = sentence(error);
    }
    await this.findSaved();
  }

  /** Opens model and data of the saved run and waits, paused, where it ended. */
  async resumeSaved(): Promise<void> {
    const saved = this.saved;
    if (!saved) return;
    await this.act(async (client) => {
      const release = await this.checkpoints.hold(saved.key);
      if (!release) throw openElsewhere();
      try {
        const files = await this.checkpoints.read(saved);
        await this.recipe.replace(JSON.stringify({ ...saved.recipe, device: this.recipe.value.device }));
        if (
          !(await this.model.openSource(saved.model)) &&
          !(saved.model.kind === 'local' && this.model.open)
        ) {
          throw new Error(`open the model "${saved.modelLabel}" first, then resume`);
        }
        if (!(await this.data.read(saved.dataName, files.data, null)))
          throw new Error(this.data.error ?? 'the data could not be read');
        const changed = () => this.changed();
        const none = Promise.resolve([]);
        const keeper = new Keeper(
          this.checkpoints,
          saved.key,
          files.data,
          Promise.resolve(release),
          none,
          changed,
        );
        await this.goOn(client, saved, files.checkpoint, keeper);
      } catch (error) {
        release();
        throw error;
      }
      this.saved = null;
    });
  }

  /** After the trainer broke: `replace` makes another, in which the run waits at its latest checkpoint. */
  async recover(error: Error, replace: () => Promise<TrainerClient | null>): Promise<void> {
    await this.whileReplaced(async () => {
      const done = await this.goOnIn(this.run, replace).catch((failure: unknown) => sentence(failure));
      this.error = sentence(`${error.message}; ${done}`);
    });
  }

  /** Leaves the run, once its checkpoints are kept, to whoever goes on with it. */
  async close(): Promise<void> {
    this.replaceRun(null);
    await Promise.all(this.former.splice(0));
  }

  /** Lets nothing be asked of the trainer until another is in its place. */
  async whileReplaced(work: () => Promise<void>): Promise<void> {
    this.replacing = true;
    this.changed();
    try {
      await work();
    } finally {
      this.replacing = false;
      this.changed();
    }
  }

  /** What has become of the run, to go on after a semicolon. */
  private async goOnIn(run: Run | null, replace: () => Promise<TrainerClient | null>): Promise<string> {
    const latest = await run?.keeper?.read();
    const hadModel = this.model.open !== null;
    const client = await replace();
    if (!client)
      return 'no other could be started, so reload the page, which offers what was kept of the run';
    const where = this.trainer.device?.kind === 'cpu' ? 'on the CPU' : 'on the GPU';
    if (hadModel && !this.model.open) {
      const after = latest ? ', and reload the page to resume the run' : '';
      return `the model could not be read again, so open it once more${after}`;
    }
    if (!run || this.run !== run) return `another trainer, ${where}, has taken its place`;
    if (!run.keeper || !latest) return `nothing of the run was kept yet, so start it again, ${where} now`;
    await this.goOn(client, latest.run, latest.checkpoint, run.keeper);
    if (this.state === 'finished') return `the run, which was finished, is open again, ${where}`;
    return `the run is back at its last checkpoint, step ${latest.run.step}, ${where}: continue, or download its adapter`;
  }

  private async goOn(
    client: TrainerClient,
    saved: SavedRun,
    checkpoint: Uint8Array<ArrayBuffer>,
    keeper: Keeper,
  ): Promise<void> {
    const run = { ...this.newRun(), keeper };
    const options = { paused: true, checkpointEvery: CHECKPOINT_EVERY, rated: true };
    run.plan = await client.resumeFrom(checkpoint, this.handlersOf(run), options);
    run.reports = saved.reports.filter((report) => report.step <= saved.step);
    keeper.savedStep = saved.step;
    this.replaceRun(run);
    if (this.data.open)
      run.id = this.runs.resume(saved.runId, run.plan, await fileOf(this.data.open), run.reports);
    if (saved.step >= saved.totalSteps || this.last?.finished) {
      this.state = 'finished';
      this.endRecord();
    }
    void this.watchEnd(run, client.finished());
  }

  private handlersOf(run: Run): TrainHandlers {
    return {
      onStep: (report) => {
        run.reports = [...run.reports, report];
        if (run.id) this.runs.step(run.id, report);
        this.changed();
        if (report.step === 1 || report.step % 5 === 0) void this.readMemory();
      },
      onRate: (prompt, answers) => this.ratings.ask(prompt, answers),
      onState: (state) => {
        this.state = state;
        if (!this.active) this.ratings.clear();
        if (state === 'finished' || state === 'stopped') this.endRecord();
        this.changed();
      },
      onCheckpoint: (bytes, step) => this.save(run, bytes, step),
    };
  }

  private save(run: Run, checkpoint: Uint8Array<ArrayBuffer>, step: number): void {
    if (!run.plan) return;
    const saved = {
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
    run.keeper?.save(saved, checkpoint);
    this.changed();
  }

  private async watchEnd(run: Run, end: Promise<unknown>): Promise<void> {
    try {
      await end;
    } catch (error) {
      // What has taken its place says how things stand.
      if (this.run !== run) return;
      this.ratings.clear();
      this.state = 'failed';
      this.error = sentence(error);
      this.endRecord(this.error);
      this.changed();
    }
    await this.readMemory();
  }

  private replaceRun(run: Run | null): void {
    this.endRecord();
    const keeper = this.run?.keeper;
    if (keeper && keeper !== run?.keeper) this.former.push(keeper.close());
    this.run = run;
  }

  /** Says how the run ended, once; one that something else takes the place of has stopped. */
  private endRecord(error: string | null = null): void {
    const { run } = this;
    if (!run?.id || run.recorded) return;
    const state = this.state === 'finished' || this.state === 'failed' ? this.state : 'stopped';
    this.runs.end(run.id, state, error);
    run.recorded = true;
  }

  private async readMemory(): Promise<void> {
    this.memory = await this.trainer
      .client()
      .then((client) => client.memory())
      .catch(() => null);
    this.changed();
  }

  private async act(action: (client: TrainerClient) => Promise<unknown>): Promise<void> {
    this.error = null;
    this.acting = true;
    this.changed();
    try {
      await action(await this.trainer.client());
    } catch (error) {
      this.error = sentence(error);
    } finally {
      this.acting = false;
      this.changed();
    }
  }

  /** A run of what is open now. */
  private newRun(): Run {
    const [model, data] = [this.model.open, this.data.open];
    if (!model || !data) throw new Error('choose a model and a data file first');
    return {
      plan: null,
      reports: [],
      keeper: null,
      model: { source: model.source, label: model.label },
      dataName: data.name,
      id: null,
      recorded: false,
    };
  }
}
