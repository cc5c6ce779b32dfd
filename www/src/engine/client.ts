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
  ModelFile,
  ModelReport,
  Neighbour,
  Plan,
  ProbeSummary,
  Recipe,
  Sweep,
  SweepPlan,
} from './types.js';
import type { Answer, Carries, FromWorker, LoopOptions, RequestType, WireError } from './protocol.js';
import { ClientRuns, type TrainHandlers } from './client-runs.js';
import { TrainerError, trainerError } from './errors.js';
import { unreachable } from './protocol.js';
import { withResolvers } from './resolvers.js';
import type { Spawned, Workers } from './spawn.js';

export type { TrainHandlers } from './client-runs.js';
export { TrainerError, wasStopped } from './errors.js';
export type { LoopOptions, TrainState } from './protocol.js';

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onText?: ((delta: string) => void) | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** How long a worker may take until its script runs: one before another is tried, and that other one. */
const LOADING_SECONDS = [10, 60] as const;

export class TrainerClient {
  /** What the trainer runs on and why; known once started. */
  device!: DeviceReport;
  private readonly pending = new Map<number, Pending>();
  private readonly runs = new ClientRuns();
  private loaded = false;
  private nextId = 1;
  /** Why nothing more can be asked. */
  private ended: TrainerError | null = null;
  private readonly breaking = withResolvers<TrainerError>();
  private readonly watching = new AbortController();

  private constructor(private readonly spawned: Spawned) {
    spawned.worker.onmessage = (message: MessageEvent<FromWorker>) => this.receive(message.data);
    // A script that does not load is an event without a message.
    spawned.worker.onerror = (event) =>
      this.fail((event.message as string | undefined) ?? 'its script did not load; reload the page');
    spawned.worker.onmessageerror = () => this.fail('a message could not be read');
  }

  /** Starts a worker and lets it choose its device; the signal ends it, now or later. */
  static async start(
    workers: Workers,
    options: { device?: DeviceChoice; signal?: AbortSignal } = {},
  ): Promise<TrainerClient> {
    const module = await workers.module();
    const create = async (loadingSeconds: number) => {
      const client = new TrainerClient(await workers.spawn());
      await client.create(module, options.device ?? 'auto', loadingSeconds, options.signal);
      return client;
    };
    // About once in sixty pages Chromium makes no worker, most often without saying so; a second one has loaded then.
    return create(LOADING_SECONDS[0]).catch((error: unknown) => {
      if (error instanceof TrainerError && error.kind === 'worker') return create(LOADING_SECONDS[1]);
      throw error;
    });
  }

  /** Nothing is awaited between the worker and its listeners: an error before them would never be heard of. */
  private async create(
    module: WebAssembly.Module,
    device: DeviceChoice,
    loadingSeconds: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const leave = () => this.terminate();
    signal?.addEventListener('abort', leave);
    if (signal?.aborted) leave();
    const silent = () => this.loaded || this.fail('its script did not load; reload the page');
    setTimeout(silent, loadingSeconds * 1000);
    try {
      this.device = await this.call('create', { module, device });
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Resolves with the reason once the worker can do nothing more, unless it was terminated. */
  get broken(): Promise<TrainerError> {
    return this.breaking.promise;
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
    const id = this.nextId++;
    return this.runs.begin(id, handlers, () => this.call('begin', { recipe, options }, {}, id));
  }

  /** Goes on from a checkpoint, paused unless told otherwise. The model and the same data must be open. */
  resumeFrom(
    checkpoint: Uint8Array,
    handlers?: TrainHandlers,
    options: LoopOptions = { paused: true },
  ): Promise<Plan> {
    const id = this.nextId++;
    return this.runs.begin(id, handlers ?? this.runs.latest.handlers, () =>
      this.call('resume_from', { checkpoint, options }, {}, id),
    );
  }

  /** How the run ended; rejects with the error that ended it. */
  finished(): Promise<'finished' | 'stopped'> {
    return this.runs.latest.ended.promise;
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
    return this.call('rate_answers', { question: this.runs.question, ratings });
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
    this.end(new TrainerError('terminated', 'the trainer was closed'));
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
      if (this.ended) {
        reject(this.ended);
        return;
      }
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
        if (message.lock) this.watch(message.lock);
        break;
      case 'answer':
        this.take(message.id)?.resolve(message.value);
        break;
      case 'error':
        this.take(message.id)?.reject(trainerError(message.error));
        this.breakAfter(message.error);
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
        this.runs.receive(message);
        if (message.type === 'loop_failed') this.breakAfter(message.error);
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

  /** The worker's lock is free when the browser has ended it, of which no event tells. */
  private watch(lock: string): void {
    const { signal } = this.watching;
    navigator.locks
      .request(lock, { signal }, () => this.fail('the browser has ended it'))
      .catch(() => undefined);
  }

  private fail(reason: string): void {
    this.break(new TrainerError('worker', `the training worker stopped (${reason})`));
  }

  private breakAfter(error: WireError): void {
    const broke = trainerError(error);
    if (broke.isFatal) this.break(broke);
  }

  private break(error: TrainerError): void {
    if (this.ended) return;
    this.end(error);
    this.breaking.resolve(error);
  }

  private end(error: TrainerError): void {
    this.ended ??= error;
    this.watching.abort();
    for (const pending of this.pending.values()) pending.reject(error);
    this.pending.clear();
    this.runs.rejectAll(error);
  }
}
