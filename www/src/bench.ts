/** Times training steps in the page itself, so that a harness can wrap WebGPU's calls and count them. */
import init, { Bench, start } from 'loralet-wasm/loralet.js';
import type { Workload } from './types.js';
import { trainerModule } from './worker/spawn.js';

export interface BenchOptions {
  workload: Workload;
  /** A safetensors file: weights with Hugging Face's Llama names, LoRA pairs with PEFT's, and `tokens`. */
  weightsUrl: string;
  steps: number;
  warmup: number;
}

export interface BenchResult {
  /** Of warm-up and timed steps. */
  losses: number[];
  /** Of the timed steps; each ends with its loss read back. */
  step_ms: number[];
}

declare global {
  interface Window {
    bench: (options: BenchOptions) => Promise<BenchResult>;
  }
}

let ready: Promise<void> | undefined;

window.bench = async ({ workload, weightsUrl, steps, warmup }) => {
  ready ??= trainerModule().then(async (module) => {
    await init({ module_or_path: module });
    start();
  });
  await ready;
  const response = await fetch(weightsUrl);
  if (!response.ok) throw new Error(`${weightsUrl}: the server answered ${response.status}`);
  const weights = new Uint8Array(await response.arrayBuffer());
  const device = new URLSearchParams(location.search).get('device') === 'cpu' ? 'cpu' : 'webgpu';
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
