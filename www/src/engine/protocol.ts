/**
 * The messages between page and worker, all of them.
 *
 * The page sends a `Request` and gets exactly one `Reply` with the same id. Whatever happens
 * in between, or unasked while the loop runs, arrives as an `Event`.
 */
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
  Message,
  ModelFile,
  ModelReport,
  Neighbour,
  Plan,
  PredictRequest,
  Predictions,
  ProbeSummary,
  Recipe,
  StepReport,
  Sweep,
  SweepPlan,
  Worth,
  WorthRequest,
} from './types.js';
import type { WireError } from './errors.js';

/** What a run is doing. `pausing` and `stopping` last until the steps in progress are done: on a GPU a few. */
export type TrainState =
  'idle' | 'running' | 'pausing' | 'paused' | 'stopping' | 'stopped' | 'finished' | 'failed';

export interface LoopOptions {
  /** Wait before the first step. */
  paused?: boolean;
  /** Steps between `checkpoint` events; pausing, stopping and finishing also send one. Null, or left out: never. */
  checkpointEvery?: number | null;
  /** Somebody answers `rate` events. */
  rated?: boolean;
}

/** Each request: what it carries and what it answers. */
interface Calls {
  create: { carries: { module: WebAssembly.Module; device: DeviceChoice }; answers: DeviceReport };
  default_recipe: { carries: object; answers: Recipe };
  validate_recipe: { carries: { recipe: unknown }; answers: Recipe };
  open_model: {
    carries: { files: ModelFile[]; modelName: string; baseDtype: BaseDtype };
    answers: ModelReport;
  };
  open_data: { carries: { fileName: string; bytes: Uint8Array; recipe: Recipe }; answers: DataSummary };
  open_probe: { carries: { fileName: string; bytes: Uint8Array }; answers: ProbeSummary };
  close_probe: { carries: object; answers: null };
  open_reward_model: { carries: { files: AdapterFile[] }; answers: null };
  close_reward_model: { carries: object; answers: null };
  begin: { carries: { recipe: Recipe; options: LoopOptions }; answers: Plan };
  resume_from: { carries: { checkpoint: Uint8Array; options: LoopOptions }; answers: Plan };
  /** These are for the run that the request with this id began; another run goes on as it was. */
  pause: { carries: { run: number }; answers: null };
  resume_loop: { carries: { run: number }; answers: null };
  train_until: { carries: { run: number; step: number }; answers: null };
  step_once: { carries: { run: number }; answers: null };
  stop: { carries: { run: number }; answers: null };
  /** A number for each answer of the `rate` event with this question, higher for better; ignored once nobody asks it. */
  rate_answers: { carries: { question: number; ratings: number[] }; answers: null };
  reset_training: { carries: object; answers: null };
  evaluate: { carries: object; answers: Evaluation };
  search: { carries: { query: string; adapter: boolean }; answers: Neighbour[] };
  score: { carries: { recipe: Recipe; adapter: boolean; heldOut: boolean }; answers: Evaluation };
  /** Answers `worth_progress` events meanwhile; a `cancel` ends it with the rows that are done. */
  worth: { carries: { recipe: Recipe; request: WorthRequest }; answers: Worth };
  logits: { carries: { inputIds: Uint32Array; adapter: boolean }; answers: Float32Array<ArrayBuffer> };
  predict: { carries: { request: PredictRequest }; answers: Predictions };
  generate: { carries: { request: GenerateRequest }; answers: GenerateReport };
  /**
   * Ends the request with this id, if it is not answered yet: one that waits for its turn fails at once as `stopped` and is never
   * begun, an answer or a measurement that is under way ends with what it has, a run that is being begun stops before its first step.
   */
  cancel: { carries: { request: number }; answers: null };
  save_checkpoint: { carries: object; answers: Uint8Array<ArrayBuffer> };
  adapter_files: { carries: object; answers: AdapterFile[] };
  graduate: { carries: { recipe: Recipe }; answers: AdapterFile[] };
  graduate_zip: { carries: { recipe: Recipe }; answers: Uint8Array<ArrayBuffer> };
  adapter_zip: { carries: object; answers: Uint8Array<ArrayBuffer> };
  export_manifest: { carries: { request: ExportRequest }; answers: Manifest };
  export: { carries: { request: ExportRequest }; answers: ModelFile[] };
  load_adapter: { carries: { files: AdapterFile[] }; answers: null };
  memory: { carries: object; answers: MemoryReport };
  plan_sweep: { carries: { recipe: Recipe; sweep: Sweep }; answers: SweepPlan };
  sweep_seconds: { carries: { plan: SweepPlan; measured: Measured[] }; answers: number };
  sweep_survivors: {
    carries: { plan: SweepPlan; rung: number; losses: (number | null)[] };
    answers: number[];
  };
}

export type RequestType = keyof Calls;
export type Carries<T extends RequestType> = Calls[T]['carries'];
export type Answer<T extends RequestType> = Calls[T]['answers'];

export type Request = { [T in RequestType]: { type: T; id: number } & Carries<T> }[RequestType];

export type Reply =
  | { type: 'answer'; id: number; value: Answer<RequestType> }
  | { type: 'error'; id: number; error: WireError };

export type Event =
  /** The worker's script runs, and holds the Web Lock of this name as long as it lives; null where there are none. */
  | { type: 'loaded'; lock: string | null }
  | { type: 'model_progress'; id: number; done: number; total: number }
  | { type: 'text'; id: number; delta: string }
  | { type: 'worth_progress'; id: number; done: number; total: number }
  | RunEvent;

/** `run` is the id of the request that began the run, so that what an earlier run still tells is not taken for the next one's. */
export type RunEvent = { run: number } & (
  | { type: 'step'; report: StepReport }
  /** The step in progress waits for `rate_answers`, or for the end of the run. */
  | { type: 'rate'; question: number; prompt: Message[]; answers: string[] }
  | { type: 'state'; state: TrainState }
  | { type: 'checkpoint'; step: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'loop_failed'; error: WireError }
);

export type FromWorker = Reply | Event;

/** Makes a switch over a union exhaustive at compile time. */
export function unreachable(value: never): never {
  throw new Error(`unexpected message ${JSON.stringify(value)}`);
}
