/** The WebAssembly package that `wasm-bindgen --target web` puts into `pkg/`. One Session call at a time. */
declare module 'loralet-wasm/loralet.js' {
  import type * as t from './types.js';

  export default function init(options: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  export function start(): void;
  /** Empty where the browser cannot run it. */
  export function micro_kernel_module(): Uint8Array;
  export function share_products(memory: SharedArrayBuffer): void;
  export function default_recipe(): t.Recipe;
  export function validate_recipe(recipe: unknown): t.Recipe;
  export function plan_sweep(recipe: t.Recipe, sweep: t.Sweep): t.SweepPlan;
  export function sweep_seconds(plan: t.SweepPlan, measured: t.Measured[]): number;
  export function sweep_survivors(plan: t.SweepPlan, rung: number, losses: (number | null)[]): Uint32Array;

  /** LoRA steps on one fixed batch, for timing. */
  export class Bench {
    static create(device: t.DeviceChoice, workload: t.Workload, weights: Uint8Array): Promise<Bench>;
    /** The loss before the update. */
    step(): Promise<number>;
    free(): void;
  }

  /** Single operations of such a step. */
  export class OpBench {
    static create(device: t.DeviceChoice, workload: t.Workload): Promise<OpBench>;
    turn(): Promise<t.OpTime[]>;
    /** Seconds of so many in a row. */
    run(index: number, with_backward: boolean, times: number): Promise<number>;
    free(): void;
  }

  /** Asked before each token that a run samples. */
  export type GoOn = () => Promise<boolean>;

  export type Rate = (prompt: t.Message[], answers: string[]) => Promise<number[]>;

  export class Session {
    static create(device: t.DeviceChoice): Promise<Session>;
    device(): t.DeviceReport;
    open_model(
      files: t.ModelFile[],
      model_name: string,
      base_dtype: t.BaseDtype,
      on_progress: (done_bytes: number, total_bytes: number) => void,
    ): Promise<t.ModelReport>;
    open_data(file_name: string, bytes: Uint8Array, recipe: t.Recipe): t.DataSummary;
    open_probe(file_name: string, bytes: Uint8Array): t.ProbeSummary;
    close_probe(): void;
    open_reward_model(files: t.AdapterFile[]): void;
    close_reward_model(): void;
    /** `rate` gives a number an answer; left out where nobody rates. */
    begin(recipe: t.Recipe, rate: Rate | undefined, go_on: GoOn): Promise<t.Plan>;
    /** A report of each step that was done: at least one, and up to `most`. */
    steps(most: number): Promise<t.StepReport[]>;
    evaluate(): Promise<t.Evaluation>;
    search(query: string, adapter: boolean): Promise<t.Neighbour[]>;
    score(recipe: t.Recipe, adapter: boolean, held_out: boolean): Promise<t.Evaluation>;
    logits(input_ids: Uint32Array, adapter: boolean): Promise<Float32Array<ArrayBuffer>>;
    save_checkpoint(): Promise<Uint8Array<ArrayBuffer>>;
    resume(checkpoint: Uint8Array, rate: Rate | undefined, go_on: GoOn): Promise<t.Plan>;
    adapter_files(): Promise<t.AdapterFile[]>;
    adapter_zip(): Promise<Uint8Array<ArrayBuffer>>;
    load_adapter(files: t.AdapterFile[]): Promise<void>;
    has_adapter(): boolean;
    /** `on_text` answers whether to go on. */
    generate(
      request: t.GenerateRequest,
      on_text: (delta: string) => Promise<boolean>,
    ): Promise<t.GenerateReport>;
    memory(): t.MemoryReport;
    reset_training(): void;
    free(): void;
  }
}

declare module 'loralet-wasm/loralet_bg.wasm?url' {
  const url: string;
  export default url;
}
