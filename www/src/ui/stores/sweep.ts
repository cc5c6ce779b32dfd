/** A sweep over settings: planned, timed, carried out; its runs go into the run table. */
import {
  LoraletError,
  measure,
  runSweep,
  type RunRecord,
  type StepReport,
  type Strategy,
  type Sweep,
  type SweepListener,
  type SweepPlan,
  type SweptSetting,
  type Trainer,
} from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { sentence } from '../words/sentence.js';
import type { DataStore } from './data.js';
import type { RecipeStore } from './recipe.js';
import { fileOf, type RunsStore } from './runs.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';
import type { TrainingStore } from './training.js';

/** What is under way. */
export interface SweepProgress {
  run: number;
  rung: number;
  last: StepReport | null;
}

export class SweepStore extends Store {
  settings: SweptSetting[] = [{ key: 'train.learning_rate', values: '1e-4, 3e-4, 1e-3' }];
  strategy: Strategy = 'grid';
  state: 'idle' | 'estimating' | 'running' | 'stopping' = 'idle';
  plan: SweepPlan | null = null;
  /** The whole sweep's, by measured steps. */
  seconds: number | null = null;
  progress: SweepProgress | null = null;
  /** How the last sweep ended. */
  said: string | null = null;
  error: Problem | null = null;
  private abort: AbortController | null = null;

  constructor(
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly data: DataStore,
    private readonly runs: RunsStore,
    private readonly training: TrainingStore,
  ) {
    super();
  }

  /** Other settings make another sweep: what was estimated holds no more. */
  change(changes: { settings?: SweptSetting[]; strategy?: Strategy }): void {
    Object.assign(this, changes);
    this.said = null;
    this.forgetEstimate();
    this.changed();
  }

  forgetEstimate(): void {
    if (this.state !== 'idle' || (!this.plan && !this.error)) return;
    this.plan = null;
    this.seconds = null;
    this.error = null;
    this.changed();
  }

  /** Plans the sweep and takes a few steps to say how long it will be. */
  estimate(): Promise<void> {
    return this.work('estimating', async (client) => {
      this.plan = null;
      this.seconds = null;
      const plan = await client.planSweep(this.recipe.value, this.asked);
      const measured = await measure(client, plan);
      this.seconds = await client.sweepSeconds(plan, measured);
      this.plan = plan;
    });
  }

  start(): Promise<void> {
    return this.work('running', async (client) => {
      const { plan } = this;
      if (!plan || !this.data.open)
        throw new LoraletError('not_ready', 'estimate the time first', { key: 'estimate' });
      const ids: (string | undefined)[] = plan.runs.map(() => undefined);
      const listener = this.listener(ids, await fileOf(this.data.open), new Date().toISOString());
      this.abort = new AbortController();
      const { signal } = this.abort;
      await runSweep(client, plan, listener, signal);
      const mine = this.runs.records.filter((run) => ids.includes(run.id));
      this.runs.showOnly(mine.map(({ id }) => id));
      this.said = signal.aborted
        ? 'The sweep was stopped.'
        : best(
            this.runs.records,
            mine.map(({ id }) => id),
          );
    });
  }

  stop(): void {
    this.state = 'stopping';
    this.abort?.abort();
    this.changed();
  }

  private get asked(): Sweep {
    const settings = this.settings.map(({ key, values }) => ({ key: key.trim(), values }));
    return {
      settings: settings.filter(({ key, values }) => key !== '' || values.trim() !== ''),
      strategy: this.strategy,
    };
  }

  /** Records each run in the table. */
  private listener(
    ids: (string | undefined)[],
    file: Awaited<ReturnType<typeof fileOf>>,
    sweep: string,
  ): SweepListener {
    const mine = (run: number, work: (id: string) => void) => {
      const id = ids[run];
      if (id !== undefined) work(id);
    };
    let rung = 0;
    return {
      onRun: (run, inRung, begun) => {
        rung = inRung;
        ids[run] ??= this.runs.begin(begun, file, sweep);
        this.progress = { run, rung, last: null };
        this.changed();
      },
      onStep: (run, last) => {
        mine(run, (id) => this.runs.step(id, last));
        this.progress = { run, rung, last };
        this.changed();
      },
      onEvaluation: (run, step, evaluation) => mine(run, (id) => this.runs.evaluated(id, step, evaluation)),
      onEnd: (run, how, error) =>
        mine(run, (id) => this.runs.end(id, how, error === null ? null : sentence(error))),
    };
  }

  /** The trainer is the sweep's until the work is done. */
  private async work(
    state: 'estimating' | 'running',
    work: (client: Trainer) => Promise<void>,
  ): Promise<void> {
    if (this.state !== 'idle') return;
    this.state = state;
    this.error = null;
    this.said = null;
    this.changed();
    await this.training.lend(async () => {
      try {
        await work(await this.trainer.client());
      } catch (error) {
        this.error = problem(error);
      }
    });
    this.state = 'idle';
    this.progress = null;
    this.abort = null;
    this.changed();
  }
}

/** The sentence after a sweep. */
function best(records: RunRecord[], ids: string[]): string {
  const scored = records
    .map((run, place) => ({ run, number: place + 1, loss: run.evaluation?.loss ?? Infinity }))
    .filter(({ run, loss }) => ids.includes(run.id) && run.state === 'finished' && Number.isFinite(loss));
  const [first] = scored.sort((a, b) => a.loss - b.loss);
  if (!first) return 'No run of the sweep came to its end; the table says why.';
  return `The sweep is done. Run ${first.number} has the lowest validation loss, ${first.loss.toFixed(4)}: repeat it to train it again, or look at all of them below.`;
}
