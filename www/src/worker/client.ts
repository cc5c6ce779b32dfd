/** The page's side of the training worker: one method a request, typed, with errors as sentences. */
import type {
  AdapterFile,
  BaseDtype,
  DataSummary,
  DeviceChoice,
  DeviceReport,
  Evaluation,
  GenerateReport,
  GenerateRequest,
  Measured,
  MemoryReport,
  Message,
  ModelFile,
  ModelReport,
  Neighbour,
  Plan,
  ProbeSummary,
  Recipe,
  StepReport,
  Sweep,
  SweepPlan,
} from '../types.js';
import type {
  Answer,
  Carries,
  FromWorker,
  LoopOptions,
  RequestType,
  RunEvent,
  TrainState,
} from './protocol.js';
import { TrainerError, trainerError } from './errors.js';
import { unreachable } from './protocol.js';
import { spawnWorker, trainerModule, type Spawned } from './spawn.js';

export { TrainerError, wasStopped } from './errors.js';
export type { LoopOptions, TrainState } from './protocol.js';

export interface TrainHandlers {
  onStep?(report: StepReport): void;
  /** Sampled answers wait for `rateAnswers`; with `rated` in the options only. */
  onRate?(prompt: Message[], answers: string[]): void;
  onState?(state: TrainState): void;
  onCheckpoint?(bytes: Uint8Array<ArrayBuffer>, step: number): void;
}

/** A run, from the request that begins it until its last event. */
interface Run {
  handlers: TrainHandlers;
  ended: PromiseWithResolvers<'finished' | 'stopped'>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onText?: ((delta: string) => void) | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** After these a run tells nothing more. */
const ENDED: TrainState[] = ['idle', 'stopped', 'finished', 'failed'];

/** How long a worker may take until its script runs, before another is tried. */
const LOADING_SECONDS = 10;

export class TrainerClient {
  /** What the trainer runs on and why; known once started. */
  device!: DeviceReport;
  private readonly pending = new Map<number, Pending>();
  private loaded = false;
  private nextId = 1;
  /** The runs that may still tell something, by the ids of the requests that began them. */
  private readonly runs = new Map<number, Run>();
  private latest: Run = { handlers: {}, ended: withResolvers() };
  /** The latest that a run asked with `onRate`. */
  private question = 0;

  private constructor(private readonly spawned: Spawned) {
    spawned.worker.onmessage = (message: MessageEvent<FromWorker>) => this.receive(message.data);
    // A script that does not load is an event without a message.
    spawned.worker.onerror = (event) =>
      this.fail((event.message as string | undefined) ?? 'its script did not load');
    spawned.worker.onmessageerror = () => this.fail('a message could not be read');
  }

  /** Loads the WebAssembly module, starts a worker and lets it choose its device. */
  static async start(options: { device?: DeviceChoice } = {}): Promise<TrainerClient> {
    const module = await trainerModule();
    const device = options.device ?? 'auto';
    // About once in sixty pages Chromium makes no worker, most often without saying so; a second one has loaded then.
    return TrainerClient.create(module, device, LOADING_SECONDS).catch((error: unknown) => {
      if (error instanceof TrainerError && error.kind === 'worker')
        return TrainerClient.create(module, device);
      throw error;
    });
  }

  /** Nothing is awaited between the worker and its listeners: an error before them would never be heard of. */
  private static async create(
    module: WebAssembly.Module,
    device: DeviceChoice,
    loadingSeconds?: number,
  ): Promise<TrainerClient> {
    const client = new TrainerClient(await spawnWorker());
    if (loadingSeconds) {
      const silent = () => client.loaded || client.fail('its script did not load');
      setTimeout(silent, loadingSeconds * 1000);
    }
    try {
      client.device = await client.call('create', { module, device });
    } catch (error) {
      client.terminate();
      throw error;
    }
    return client;
  }

  defaultRecipe(): Promise<Recipe> {
    return this.call('default_recipe', {});
  }

  /** The recipe with every field filled. Throws `unknown_key` or `invalid_setting` naming the field. */
  validateRecipe(recipe: unknown): Promise<Recipe> {
    return this.call('validate_recipe', { recipe });
  }

  openModel(
    files: ModelFile[],
    modelName: string,
    baseDtype: BaseDtype,
    onProgress?: (doneBytes: number, totalBytes: number) => void,
    signal?: AbortSignal,
  ): Promise<ModelReport> {
    return this.call('open_model', { files, modelName, baseDtype }, { onProgress, signal });
  }

  openData(fileName: string, bytes: Uint8Array, recipe: Recipe): Promise<DataSummary> {
    return this.call('open_data', { fileName, bytes, recipe });
  }

  /** Measures forgetting by this file from the next run on. */
  openProbe(fileName: string, bytes: Uint8Array): Promise<ProbeSummary> {
    return this.call('open_probe', { fileName, bytes });
  }

  /** Back to the built-in text. */
  closeProbe(): Promise<null> {
    return this.call('close_probe', {});
  }

  /** An adapter, or one zip of its files, that sampled answers are rewarded by from the next run on. */
  openRewardModel(files: AdapterFile[]): Promise<null> {
    return this.call('open_reward_model', { files });
  }

  closeRewardModel(): Promise<null> {
    return this.call('close_reward_model', {});
  }

  /** Plans the run and starts the loop, which the worker owns. */
  begin(recipe: Recipe, handlers: TrainHandlers, options: LoopOptions = {}): Promise<Plan> {
    return this.newRun(handlers, (id) => this.call('begin', { recipe, options }, {}, id));
  }

  /** Goes on from a checkpoint, paused unless told otherwise. The model and the same data must be open. */
  resumeFrom(
    checkpoint: Uint8Array,
    handlers?: TrainHandlers,
    options: LoopOptions = { paused: true },
  ): Promise<Plan> {
    return this.newRun(handlers ?? this.latest.handlers, (id) =>
      this.call('resume_from', { checkpoint, options }, {}, id),
    );
  }

  /** How the run ended; rejects with the error that ended it. */
  finished(): Promise<'finished' | 'stopped'> {
    return this.latest.ended.promise;
  }

  pause(): Promise<null> {
    return this.call('pause', {});
  }

  resumeLoop(): Promise<null> {
    return this.call('resume_loop', {});
  }

  /** Goes on, and pauses once this step is done. */
  trainUntil(step: number): Promise<null> {
    return this.call('train_until', { step });
  }

  /** One step, while paused. */
  stepOnce(): Promise<null> {
    return this.call('step_once', {});
  }

  stop(): Promise<null> {
    return this.call('stop', {});
  }

  /** What the answers of the latest `onRate` are worth, a number each; the step goes on. */
  rateAnswers(ratings: number[]): Promise<null> {
    return this.call('rate_answers', { question: this.question, ratings });
  }

  /** Drops adapter and optimizer; the model and the data stay open. */
  resetTraining(): Promise<null> {
    return this.call('reset_training', {});
  }

  evaluate(): Promise<Evaluation> {
    return this.call('evaluate', {});
  }

  /** The texts of the open data nearest to a query. */
  search(query: string, adapter: boolean): Promise<Neighbour[]> {
    return this.call('search', { query, adapter });
  }

  /** Loss over the open data: every row, or those that a run with the recipe holds out. */
  score(recipe: Recipe, adapter: boolean, heldOut = false): Promise<Evaluation> {
    return this.call('score', { recipe, adapter, heldOut });
  }

  /** Logits after each token, `[tokens, vocabulary]` row-major, for comparing with other implementations. */
  logits(inputIds: Uint32Array, adapter: boolean): Promise<Float32Array<ArrayBuffer>> {
    return this.call('logits', { inputIds, adapter });
  }

  /**
   * Also while training: it runs between two steps. Where the signal is aborted, the answer ends within a token with what it has; one
   * that has not begun fails as `stopped`.
   */
  generate(
    request: GenerateRequest,
    onText?: (delta: string) => void,
    signal?: AbortSignal,
  ): Promise<GenerateReport> {
    return this.call('generate', { request }, { onText, signal });
  }

  saveCheckpoint(): Promise<Uint8Array<ArrayBuffer>> {
    return this.call('save_checkpoint', {});
  }

  adapterFiles(): Promise<AdapterFile[]> {
    return this.call('adapter_files', {});
  }

  adapterZip(): Promise<Uint8Array<ArrayBuffer>> {
    return this.call('adapter_zip', {});
  }

  loadAdapter(files: AdapterFile[]): Promise<null> {
    return this.call('load_adapter', { files });
  }

  memory(): Promise<MemoryReport> {
    return this.call('memory', {});
  }

  /** Every run of a sweep. Throws a sentence that names the setting where one makes no sense. */
  planSweep(recipe: Recipe, sweep: Sweep): Promise<SweepPlan> {
    return this.call('plan_sweep', { recipe, sweep });
  }

  /** How long a sweep takes, by what was measured of its runs. */
  sweepSeconds(plan: SweepPlan, measured: Measured[]): Promise<number> {
    return this.call('sweep_seconds', { plan, measured });
  }

  /** Which runs go on after a rung, best first. */
  sweepSurvivors(plan: SweepPlan, rung: number, losses: (number | null)[]): Promise<number[]> {
    return this.call('sweep_survivors', { plan, rung, losses });
  }

  terminate(): void {
    this.spawned.terminate();
    this.rejectAll(new TrainerError('terminated', 'the trainer was closed'));
  }

  /** A run that cannot begin leaves the one before it as it was. */
  private async newRun(handlers: TrainHandlers, begin: (id: number) => Promise<Plan>): Promise<Plan> {
    const id = this.nextId++;
    const before = this.latest;
    const run: Run = { handlers, ended: withResolvers() };
    this.runs.set(id, run);
    this.latest = run;
    try {
      return await begin(id);
    } catch (error) {
      this.runs.delete(id);
      if (this.latest === run) this.latest = before;
      throw error;
    }
  }

  private call<T extends RequestType>(
    type: T,
    carries: Carries<T>,
    {
      signal,
      ...listeners
    }: Pick<Pending, 'onText' | 'onProgress'> & { signal?: AbortSignal | undefined } = {},
    id = this.nextId++,
  ): Promise<Answer<T>> {
    if (signal?.aborted) return Promise.reject(new TrainerError('stopped', 'this was stopped'));
    const cancel = () => void this.call('cancel', { request: id }).catch(() => undefined);
    const answered = new Promise<Answer<T>>((resolve, reject) => {
      this.pending.set(id, { resolve: resolve as (value: unknown) => void, reject, ...listeners });
      this.spawned.worker.postMessage({ type, id, ...carries });
    });
    if (!signal) return answered;
    signal.addEventListener('abort', cancel);
    return answered.finally(() => signal.removeEventListener('abort', cancel));
  }

  private receive(message: FromWorker): void {
    switch (message.type) {
      case 'loaded':
        this.loaded = true;
        break;
      case 'answer':
        this.take(message.id)?.resolve(message.value);
        break;
      case 'error':
        this.take(message.id)?.reject(trainerError(message.error));
        break;
      case 'model_progress':
        this.pending.get(message.id)?.onProgress?.(message.done, message.total);
        break;
      case 'text':
        this.pending.get(message.id)?.onText?.(message.delta);
        break;
      case 'step':
      case 'rate':
      case 'state':
      case 'checkpoint':
      case 'loop_failed':
        this.receiveOfRun(message);
        break;
      default:
        unreachable(message);
    }
  }

  private receiveOfRun(message: RunEvent): void {
    const run = this.runs.get(message.run);
    if (!run) return;
    const { handlers, ended } = run;
    switch (message.type) {
      case 'step':
        handlers.onStep?.(message.report);
        break;
      case 'rate':
        this.question = message.question;
        handlers.onRate?.(message.prompt, message.answers);
        break;
      case 'state':
        handlers.onState?.(message.state);
        if (!ENDED.includes(message.state)) break;
        // A run that something else takes the place of has stopped; one that failed has been rejected.
        ended.resolve(message.state === 'finished' ? 'finished' : 'stopped');
        this.runs.delete(message.run);
        break;
      case 'checkpoint':
        handlers.onCheckpoint?.(message.bytes, message.step);
        break;
      case 'loop_failed':
        ended.reject(trainerError(message.error));
        break;
      default:
        unreachable(message);
    }
  }

  private take(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }

  private fail(reason: string): void {
    this.rejectAll(new TrainerError('worker', `the training worker stopped (${reason}); reload the page`));
  }

  private rejectAll(error: TrainerError): void {
    for (const pending of this.pending.values()) pending.reject(error);
    this.pending.clear();
    for (const run of this.runs.values()) run.ended.reject(error);
    this.runs.clear();
  }
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
