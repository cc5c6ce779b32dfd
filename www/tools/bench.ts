/** Times training steps and single operations in the page itself, so that a harness can wrap WebGPU's calls and count them. */
import init, { Bench, OpBench, start } from 'loralet-wasm/loralet.js';
import { BrowserWorkers, type OpTime, type Workload } from '../src/engine/index.js';

export interface BenchOptions {
  workload: Workload;
  /** A safetensors file: weights with Hugging Face's Llama names, LoRA pairs with PEFT's, and `tokens`. */
  weightsUrl: string;
  steps: number;
  warmup: number;
}

export interface BenchResult {
  /** The losses of warm-up and timed steps. */
  losses: number[];
  /** The times of the timed steps; each ends with its loss read back. */
  step_ms: number[];
}

export interface BenchOps {
  /** Times each operation once; the first turn also compiles. */
  turn(): Promise<OpTime[]>;
  /** Seconds that an operation takes so many times in a row. */
  run(index: number, withBackward: boolean, times: number): Promise<number>;
  free(): void;
}

declare global {
  interface Window {
    bench: (options: BenchOptions) => Promise<BenchResult>;
    /** The operations of a step of this size. */
    benchOps: (options: { workload: Workload }) => Promise<BenchOps>;
  }
}

let ready: Promise<void> | undefined;

window.bench = async ({ workload, weightsUrl, steps, warmup }) => {
  const device = await prepared();
  const response = await fetch(weightsUrl);
  if (!response.ok) throw new Error(`${weightsUrl}: the server answered ${response.status}`);
  const weights = new Uint8Array(await response.arrayBuffer());
  const bench = await Bench.create(device, workload, weights);
  const result: BenchResult = { losses: [], step_ms: [] };
  for (let step = 0; step < warmup + steps; step += 1) {
    const started = performance.now();
    result.losses.push(await bench.step());
    if (step >= warmup) result.step_ms.push(performance.now() - started);
  }
  bench.free();
  return result;
};

window.benchOps = async ({ workload }) => {
  const ops = await OpBench.create(await prepared(), workload);
  return {
    turn: () => ops.turn(),
    run: (index, withBackward, times) => ops.run(index, withBackward, times),
    free: () => ops.free(),
  };
};

/** Loads the trainer once; which device the page's address asks for. */
async function prepared(): Promise<'cpu' | 'webgpu'> {
  ready ??= new BrowserWorkers().module().then(async (module) => {
    await init({ module_or_path: module });
    start();
  });
  await ready;
  return new URLSearchParams(location.search).get('device') === 'cpu' ? 'cpu' : 'webgpu';
}
