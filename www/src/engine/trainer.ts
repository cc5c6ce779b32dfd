/** The page's side of the training worker: a method a request, typed, with errors as sentences. */
import type {
  AdapterFile,
  BaseDtype,
  DataSummary,
  DeviceChoice,
  DeviceReport,
  Evaluation,
  ExportRequest,
  GenerateReport,
  GenerateRequest,
  Manifest,
  Measured,
  MemoryReport,
  ModelFile,
  ModelReport,
  Neighbour,
  Plan,
  PredictRequest,
  Predictions,
  ProbeSummary,
  Recipe,
  Sweep,
  SweepPlan,
  Worth,
  WorthRequest,
} from './types.js';
import { LoraletError, fromWire, type WireError } from './errors.js';
import { unreachable } from './protocol.js';
import type { Answer, Carries, FromWorker, LoopOptions, RequestType } from './protocol.js';
import { withResolvers } from './resolvers.js';
import { Run } from './run.js';
import type { Spawned, Workers } from './workers.js';

/** What any request may be given. */
export interface Options {
  /** Ends the request: one that waits for its turn is never begun and fails as `stopped`. */
  signal?: AbortSignal | undefined;
}

export interface OpenModelOptions extends Options {
  /** How the frozen weights lie in memory. */
  baseDtype?: BaseDtype;
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

export interface WorthOptions extends Options {
  /** Called with how many answers of how many there are. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface GenerateOptions extends Options {
  /** Called with each piece of the answer. */
  onText?: (delta: string) => void;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onText?: ((delta: string) => void) | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** How long a worker may take until its script runs: one before another is tried, and that other one. */
const LOADING_SECONDS = [10, 60] as const;

/**
 * A trainer: one model, one data file and one run at a time, in a worker of its own that has no network.
 *
 * Requests are answered one after the other, also while a run goes on: between two of its steps. Each rejects with a
 * `LoraletError`; what was open before stays open then.
 */
export class Trainer {
  /** What the trainer runs on and why; known once started. */
  device!: DeviceReport;
  private readonly pending = new Map<number, Pending>();
  /** The runs that may still tell something, by the ids of the requests that began them. */
  private readonly runs = new Map<number, Run>();
  private loaded = false;
  private nextId = 1;
  /** Why nothing more can be asked. */
  private ended: LoraletError | null = null;
  private readonly breaking = withResolvers<LoraletError>();
  private readonly watching = new AbortController();

  private constructor(private readonly spawned: Spawned) {
    spawned.worker.onmessage = (message: MessageEvent<FromWorker>) => this.receive(message.data);
    // A script that does not load is an event without a message.
    spawned.worker.onerror = (event) =>
      this.fail((event.message as string | undefined) ?? 'its script did not load; reload the page');
    spawned.worker.onmessageerror = () => this.fail('a message could not be read');
  }

  /** For `Engine.start`: a worker that has chosen its device. The signal ends it, now or later. */
  static async start(
    workers: Workers,
    options: { device?: DeviceChoice; signal?: AbortSignal } = {},
  ): Promise<Trainer> {
    const module = await workers.module();
    const create = async (loadingSeconds: number) => {
      const trainer = new Trainer(await workers.spawn());
      await trainer.create(module, options.device ?? 'auto', loadingSeconds, options.signal);
      return trainer;
    };
    // About once in sixty pages Chromium makes no worker, most often without saying so; a second one has loaded then.
    return create(LOADING_SECONDS[0]).catch((error: unknown) => {
      if (error instanceof LoraletError && error.kind === 'worker') return create(LOADING_SECONDS[1]);
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
  get broken(): Promise<LoraletError> {
    return this.breaking.promise;
  }

  /** Ends the worker at once; whatever is asked of it is rejected as `terminated`. */
  terminate(): void {
    this.spawned.terminate();
    this.end(new LoraletError('terminated', 'the trainer was closed'));
  }

  defaultRecipe(): Promise<Recipe> {
    return this.call('default_recipe', {});
  }

  /** The recipe with every field filled. Rejects as `unknown_key` or `invalid_setting`, whose `key` is the setting. */
  validateRecipe(recipe: unknown): Promise<Recipe> {
    return this.call('validate_recipe', { recipe });
  }

  /** Opens a model's files: one GGUF, or those of a Hugging Face folder. `name` is what its adapters say they are for. */
  openModel(
    files: ModelFile[],
    name: string,
    { baseDtype = 'auto', onProgress, signal }: OpenModelOptions = {},
  ): Promise<ModelReport> {
    return this.call('open_model', { files, modelName: name, baseDtype }, { onProgress, signal });
  }

  /** Reads a data file as the recipe says; a model is open. */
  openData(fileName: string, bytes: Uint8Array, recipe: Recipe, options: Options = {}): Promise<DataSummary> {
    return this.call('open_data', { fileName, bytes, recipe }, options);
  }

  /** Measures forgetting by this file from the next run on. */
  openProbe(fileName: string, bytes: Uint8Array, options: Options = {}): Promise<ProbeSummary> {
    return this.call('open_probe', { fileName, bytes }, options);
  }

  /** Back to the built-in text. */
  closeProbe(): Promise<null> {
    return this.call('close_probe', {});
  }

  /** An adapter, or one zip of its files, that sampled answers are rewarded by from the next run on. */
  openRewardModel(files: AdapterFile[], options: Options = {}): Promise<null> {
    return this.call('open_reward_model', { files }, options);
  }

  closeRewardModel(): Promise<null> {
    return this.call('close_reward_model', {});
  }

  /** Plans a run and starts it; the signal stops it. A run that cannot begin leaves the one before it as it was. */
  begin(recipe: Recipe, { signal, ...options }: LoopOptions & Options = {}): Promise<Run> {
    return this.run(signal, (id) => this.call('begin', { recipe, options }, { signal }, id));
  }

  /** Goes on from a checkpoint, paused unless told otherwise. The same model and data are open. */
  resumeFrom(
    checkpoint: Uint8Array,
    { signal, ...options }: LoopOptions & Options = { paused: true },
  ): Promise<Run> {
    return this.run(signal, (id) => this.call('resume_from', { checkpoint, options }, { signal }, id));
  }

  /** Drops adapter and optimizer; the model and the data stay open. */
  resetTraining(): Promise<null> {
    return this.call('reset_training', {});
  }

  /** Loss over the rows that the run holds out. */
  evaluate(options: Options = {}): Promise<Evaluation> {
    return this.call('evaluate', {}, options);
  }

  /** Loss over the open data: every row, or those that a run with the recipe holds out. */
  score(recipe: Recipe, adapter: boolean, heldOut = false, options: Options = {}): Promise<Evaluation> {
    return this.call('score', { recipe, adapter, heldOut }, options);
  }

  /** The texts of the open data nearest to a query. */
  search(query: string, adapter: boolean, options: Options = {}): Promise<Neighbour[]> {
    return this.call('search', { query, adapter }, options);
  }

  /**
   * Held-out rows, answered by the base, by the base with rows of the training split in its prompt, and by the tuned model. They
   * are those of the run; before one, those that a run with the recipe would hold out. Where the signal is aborted, it ends with
   * the rows that are done, or as `stopped` where there are none.
   */
  worth(recipe: Recipe, request: WorthRequest, { onProgress, signal }: WorthOptions = {}): Promise<Worth> {
    return this.call('worth', { recipe, request }, { onProgress, signal });
  }

  /** Logits after each token, `[tokens, vocabulary]` row-major, for comparing with other implementations. */
  logits(inputIds: Uint32Array, adapter: boolean, options: Options = {}): Promise<Float32Array<ArrayBuffer>> {
    return this.call('logits', { inputIds, adapter }, options);
  }

  /** The likeliest next tokens after a text, and how likely the text's own tokens are. */
  predict(request: PredictRequest, options: Options = {}): Promise<Predictions> {
    return this.call('predict', { request }, options);
  }

  /** An answer. Where the signal is aborted while it is written, it ends within a token with what it has. */
  generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateReport> {
    return this.call('generate', { request }, options);
  }

  saveCheckpoint(options: Options = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.call('save_checkpoint', {}, options);
  }

  /** The files of the adapter, or of the whole model where that was trained, as other tools open them. */
  adapterFiles(options: Options = {}): Promise<AdapterFile[]> {
    return this.call('adapter_files', {}, options);
  }

  /** The same files as one zip. */
  adapterZip(options: Options = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.call('adapter_zip', {}, options);
  }

  /**
   * A Python project that goes on with the open data, this recipe and the adapter on one GPU or many, with TRL and Accelerate;
   * names have folders in them.
   */
  graduate(recipe: Recipe, options: Options = {}): Promise<AdapterFile[]> {
    return this.call('graduate', { recipe }, options);
  }

  /** The same files as one zip. */
  graduateZip(recipe: Recipe, options: Options = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.call('graduate_zip', { recipe }, options);
  }

  /** The files that `export` gives, with their sizes, and what to type to use them. */
  exportManifest(request: ExportRequest, options: Options = {}): Promise<Manifest> {
    return this.call('export_manifest', { request }, options);
  }

  /** What was trained, or the base where nothing was, as files of another tool; they are no part of the trainer's memory. */
  export(request: ExportRequest, options: Options = {}): Promise<ModelFile[]> {
    return this.call('export', { request }, options);
  }

  loadAdapter(files: AdapterFile[], options: Options = {}): Promise<null> {
    return this.call('load_adapter', { files }, options);
  }

  memory(options: Options = {}): Promise<MemoryReport> {
    return this.call('memory', {}, options);
  }

  /** Every run of a sweep. Rejects with a sentence that names the setting where one makes no sense. */
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

  private async run(signal: AbortSignal | undefined, begin: (id: number) => Promise<Plan>): Promise<Run> {
    const id = this.nextId++;
    const run = new Run({
      pause: () => this.call('pause', { run: id }),
      resume: () => this.call('resume_loop', { run: id }),
      trainUntil: (step) => this.call('train_until', { run: id, step }),
      stepOnce: () => this.call('step_once', { run: id }),
      stop: () => this.call('stop', { run: id }),
      rate: (question, ratings) => this.call('rate_answers', { question, ratings }),
    });
    this.runs.set(id, run);
    try {
      run.plan = await begin(id);
    } catch (error) {
      this.runs.delete(id);
      throw error;
    }
    const stop = () => void run.stop().catch(() => undefined);
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    void run.ended.catch(() => undefined).then(() => signal?.removeEventListener('abort', stop));
    return run;
  }

  private call<T extends RequestType>(
    type: T,
    carries: Carries<T>,
    { signal, ...listeners }: Options & Pick<Pending, 'onText' | 'onProgress'> = {},
    id = this.nextId++,
  ): Promise<Answer<T>> {
    if (signal?.aborted) return Promise.reject(new LoraletError('stopped', 'this was stopped'));
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
        this.take(message.id)?.reject(fromWire(message.error));
        this.breakAfter(message.error);
        break;
      case 'model_progress':
      case 'worth_progress':
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
        if (this.runs.get(message.run)?.receive(message)) this.runs.delete(message.run);
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
    this.break(new LoraletError('worker', `the training worker stopped (${reason})`));
  }

  private breakAfter(error: WireError): void {
    const broke = fromWire(error);
    if (broke.isFatal) this.break(broke);
  }

  private break(error: LoraletError): void {
    if (this.ended) return;
    this.end(error);
    this.breaking.resolve(error);
  }

  private end(error: LoraletError): void {
    this.ended ??= error;
    this.watching.abort();
    for (const pending of this.pending.values()) pending.reject(error);
    this.pending.clear();
    for (const run of this.runs.values()) run.fail(error);
    this.runs.clear();
  }
}
