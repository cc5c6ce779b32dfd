/** The run: its plan, its steps so far, its checkpoints. */
import {
  LoraletError,
  openElsewhere,
  type Checkpoint,
  type Checkpoints,
  type KeptRun,
  type MemoryReport,
  type ModelSource,
  type Plan,
  type Run,
  type SavedRun,
  type StepReport,
  type Trainer,
  type TrainState,
} from '../../engine/index.js';
import { messageOf, problem, thrown, type Problem } from '../problem.js';
import { sentence } from '../words/sentence.js';
import type { DataStore, OpenData } from './data.js';
import { Keeper } from './keeper.js';
import type { ModelStore, OpenModel } from './model.js';
import type { RatingStore } from './ratings.js';
import type { RecipeStore } from './recipe.js';
import { fileOf, type RunsStore } from './runs.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';

const CHECKPOINT_EVERY = 20;

/** What belongs to one run: a checkpoint may still be on its way to storage when the next run has begun. */
interface KnownRun {
  run: Run;
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
  error: Problem | null = null;
  /** A run of an earlier visit that can go on. */
  saved: KeptRun | null = null;
  /** Called before the trainer is asked for something that may change the adapter. */
  onAct: () => void = () => undefined;
  /** The keys of kept runs that cannot be read. */
  unreadable: string[] = [];
  private known: KnownRun | null = null;
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
    return this.known?.run.plan ?? null;
  }

  get reports(): StepReport[] {
    return this.known?.reports ?? [];
  }

  /** The step of the latest checkpoint. */
  get savedStep(): number {
    return this.known?.keeper?.savedStep ?? 0;
  }

  /** Checkpoints on their way to storage. */
  get savesUnderWay(): number {
    return this.known?.keeper?.underWay ?? 0;
  }

  /** Whether the run is in storage as it stands. */
  get isKept(): boolean {
    return this.unkept === null && this.savesUnderWay === 0 && this.savedStep === this.last?.step;
  }

  /** Why the run is not in storage; a sentence. */
  get unkept(): string | null {
    const error = this.known?.keeper?.error ?? null;
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
      const { model, data } = this.opened();
      const file = await fileOf(data);
      const options = { paused, checkpointEvery: CHECKPOINT_EVERY, rated: true };
      const run = await client.begin(this.recipe.value, options);
      const known = this.follow(run, model, data, null);
      const id = (known.id = this.runs.begin(run.plan, file));
      const replaces = this.former.splice(0);
      if (this.saved && !this.saved.elsewhere) replaces.push(Promise.resolve(this.saved.key));
      this.saved = null;
      const changed = () => this.changed();
      known.keeper = new Keeper(
        this.checkpoints,
        id,
        data.bytes,
        this.checkpoints.hold(id),
        Promise.all(replaces),
        changed,
      );
      void this.watchEnd(known);
    });
  }

  pause(): Promise<void> {
    return this.act(() => this.known?.run.pause());
  }

  resume(): Promise<void> {
    return this.act(() => this.known?.run.resume());
  }

  /** One step; starts a paused run if there is none. */
  async step(): Promise<void> {
    if (this.state !== 'paused') await this.start(true);
    if (!this.error) await this.act(() => this.known?.run.stepOnce());
  }

  stop(): Promise<void> {
    return this.act(() => this.known?.run.stop());
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
    const others = kept.filter(({ key }) => key !== this.known?.keeper?.key);
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
      this.error = problem(error);
    }
    await this.findSaved();
  }

  /** Opens model and data of the saved run and waits, paused, where it ended. */
  async resumeSaved(): Promise<void> {
    const saved = this.saved;
    if (!saved) return;
    await this.act(async (client) => {
      const release = await this.checkpoints.hold(saved.key);
      if (!release) throw openElsewhere(saved.key);
      try {
        const files = await this.checkpoints.read(saved);
        await this.recipe.replace(JSON.stringify({ ...saved.recipe, device: this.recipe.value.device }));
        if (
          !(await this.model.openSource(saved.model)) &&
          !(saved.model.kind === 'local' && this.model.open)
        ) {
          const message = `open the model "${saved.modelLabel}" first, then resume`;
          throw new LoraletError('not_ready', message, { key: 'model', args: { name: saved.modelLabel } });
        }
        if (!(await this.data.read(saved.dataName, files.data, null)))
          throw this.data.error ? thrown(this.data.error) : new Error('the data could not be read');
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
  async recover(error: LoraletError, replace: () => Promise<Trainer | null>): Promise<void> {
    await this.whileReplaced(async () => {
      const done = await this.goOnIn(this.known, replace).catch(messageOf);
      this.error = { ...problem(error), text: sentence(`${error.message}; ${done}`) };
    });
  }

  /** The same where nothing went wrong, which is worth a word only where there is a run. */
  async goOnElsewhere(replace: () => Promise<Trainer | null>): Promise<void> {
    await this.whileReplaced(async () => {
      const { known } = this;
      const done = await this.goOnIn(known, replace).catch(messageOf);
      if (known) this.error = { ...problem(new LoraletError('stopped', done)), text: sentence(done) };
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
  private async goOnIn(known: KnownRun | null, replace: () => Promise<Trainer | null>): Promise<string> {
    const latest = await known?.keeper?.read();
    const hadModel = this.model.open !== null;
    const client = await replace();
    if (!client)
      return 'no other could be started, so reload the page, which offers what was kept of the run';
    const where = this.trainer.device?.kind === 'cpu' ? 'on the CPU' : 'on the GPU';
    if (hadModel && !this.model.open) {
      const after = latest ? ', and reload the page to resume the run' : '';
      return `the model could not be read again, so open it once more${after}`;
    }
    if (!known || this.known !== known) return `another trainer, ${where}, has taken its place`;
    if (!known.keeper || !latest) return `nothing of the run was kept yet, so start it again, ${where} now`;
    await this.goOn(client, latest.run, latest.checkpoint, known.keeper);
    if (this.state === 'finished') return `the run, which was finished, is open again, ${where}`;
    return `the run is back at its last checkpoint, step ${latest.run.step}, ${where}: continue, or download its adapter`;
  }

  private async goOn(
    client: Trainer,
    saved: SavedRun,
    checkpoint: Uint8Array<ArrayBuffer>,
    keeper: Keeper,
  ): Promise<void> {
    const { model, data } = this.opened();
    const options = { paused: true, checkpointEvery: CHECKPOINT_EVERY, rated: true };
    const run = await client.resumeFrom(checkpoint, options);
    const known = this.follow(run, model, data, keeper);
    known.reports = saved.reports.filter((report) => report.step <= saved.step);
    keeper.savedStep = saved.step;
    known.id = this.runs.resume(saved.runId, run.plan, await fileOf(data), known.reports);
    if (saved.step >= saved.totalSteps || this.last?.finished) {
      this.state = 'finished';
      this.endRecord();
    }
    void this.watchEnd(known);
  }

  /** Takes the place of the run before. */
  private follow(run: Run, model: OpenModel, data: OpenData, keeper: Keeper | null): KnownRun {
    const known: KnownRun = {
      run,
      reports: [],
      keeper,
      model: { source: model.source, label: model.label },
      dataName: data.name,
      id: null,
      recorded: false,
    };
    run.addEventListener('step', ({ detail: report }) => {
      known.reports = [...known.reports, report];
      if (known.id) this.runs.step(known.id, report);
      this.changed();
      if (report.step === 1 || report.step % 5 === 0) void this.readMemory();
    });
    run.addEventListener('rate', ({ detail }) => this.ratings.ask(run, detail));
    run.addEventListener('state', ({ detail: state }) => {
      this.state = state;
      if (!this.active) this.ratings.clear();
      if (state === 'finished' || state === 'stopped') this.endRecord();
      this.changed();
    });
    run.addEventListener('checkpoint', ({ detail }) => this.save(known, detail));
    this.replaceRun(known);
    this.state = run.state;
    return known;
  }

  private save(known: KnownRun, { step, bytes }: Checkpoint): void {
    const { plan } = known.run;
    const saved = {
      model: known.model.source,
      modelLabel: known.model.label,
      dataName: known.dataName,
      recipe: plan.recipe,
      reports: known.reports.filter((report) => report.step <= step),
      step,
      totalSteps: plan.total_steps,
      savedAt: new Date().toISOString(),
      ...(known.id ? { runId: known.id } : {}),
    };
    known.keeper?.save(saved, bytes);
    this.changed();
  }

  private async watchEnd(known: KnownRun): Promise<void> {
    try {
      await known.run.ended;
    } catch (error) {
      // What has taken its place says how things stand.
      if (this.known !== known) return;
      this.ratings.clear();
      this.state = 'failed';
      this.error = problem(error);
      this.endRecord(this.error.text);
      this.changed();
    }
    await this.readMemory();
  }

  private replaceRun(next: KnownRun | null): void {
    this.endRecord();
    const keeper = this.known?.keeper;
    if (keeper && keeper !== next?.keeper) this.former.push(keeper.close());
    this.known = next;
  }

  /** Says how the run ended, once; one that something else takes the place of has stopped. */
  private endRecord(error: string | null = null): void {
    const { known } = this;
    if (!known?.id || known.recorded) return;
    const state = this.state === 'finished' || this.state === 'failed' ? this.state : 'stopped';
    this.runs.end(known.id, state, error);
    known.recorded = true;
  }

  private async readMemory(): Promise<void> {
    this.memory = await this.trainer
      .client()
      .then((client) => client.memory())
      .catch(() => null);
    this.changed();
  }

  private async act(action: (client: Trainer) => Promise<unknown> | undefined): Promise<void> {
    this.onAct();
    this.error = null;
    this.acting = true;
    this.changed();
    try {
      await action(await this.trainer.client());
    } catch (error) {
      this.error = problem(error);
    } finally {
      this.acting = false;
      this.changed();
    }
  }

  private opened(): { model: OpenModel; data: OpenData } {
    const [model, data] = [this.model.open, this.data.open];
    if (!model || !data) {
      const key = model ? 'data' : 'model';
      throw new LoraletError('not_ready', 'choose a model and a data file first', { key });
    }
    return { model, data };
  }
}
