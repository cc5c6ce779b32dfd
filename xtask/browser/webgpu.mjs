// Counts what a training step asks of WebGPU: bench.html on a software adapter, with the calls wrapped.
// The page's address comes as one line of JSON on stdin, the figures go to stdout as one.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { randomWeights } from './weights.mjs';

const [line] = await once(createInterface({ input: process.stdin }), 'line');
const { url, chromium: executablePath, modules, steps } = JSON.parse(line);
const { chromium } = createRequire(modules)('playwright-core');

const WORKLOAD = {
  hidden: 192,
  layers: 4,
  heads: 3,
  kv_heads: 1,
  head_dim: 64,
  ffn: 512,
  vocab: 512,
  rope_theta: 10000,
  eps: 1e-5,
  batch: 4,
  seq: 128,
  lora: { r: 8, alpha: 16 },
  adamw: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0 },
};

const browser = await chromium.launch({
  executablePath,
  args: [
    '--headless=new',
    '--no-sandbox',
    '--disable-quic',
    '--enable-unsafe-webgpu',
    '--use-webgpu-adapter=swiftshader',
  ],
});
const page = await browser.newPage();
await page.goto(new URL('/bench.html', url).href);
await page.evaluate(countCalls);
const all = await measure(WORKLOAD);
const half = await measure({ ...WORKLOAD, layers: WORKLOAD.layers / 2 });
await browser.close();
console.log(
  JSON.stringify({
    workload: WORKLOAD,
    step_ms: all.step_ms,
    losses: all.losses,
    dispatches_per_step: all.dispatches,
    // What each further layer adds.
    dispatches_per_layer: (all.dispatches - half.dispatches) / (WORKLOAD.layers / 2),
    submits_per_step: all.submits,
    uploads_per_step: all.uploads,
    peak_buffer_bytes: all.peakBytes,
  }),
);
process.exit();

/** Means over the timed steps. Setting up costs calls too, so two runs of different length are compared. */
async function measure(workload) {
  const weights = randomWeights(workload).toString('base64');
  const run = (steps) => page.evaluate(timed, [workload, weights, steps]);
  // The first run of a page also sets the device up and compiles kernels.
  await run(1);
  const [short, long] = [await run(1), await run(steps + 1)];
  const mean = (key) => (long[key] - short[key]) / steps;
  return {
    step_ms: long.step_ms.slice(1),
    losses: long.losses,
    dispatches: mean('dispatches'),
    submits: mean('submits'),
    uploads: mean('uploads'),
    peakBytes: long.peakBytes,
  };
}

async function timed([workload, weights, steps]) {
  const calls = globalThis.calls;
  Object.assign(calls, { dispatches: 0, submits: 0, uploads: 0 });
  const weightsUrl = `data:application/octet-stream;base64,${weights}`;
  const result = await globalThis.bench({ workload, weightsUrl, steps, warmup: 2 });
  return { ...result, ...calls };
}

function countCalls() {
  const calls = (globalThis.calls = { bytes: 0, peakBytes: 0 });
  const wrap = (owner, method, seen) => {
    const original = owner.prototype[method];
    owner.prototype[method] = function (...args) {
      const result = original.apply(this, args);
      seen(result, this, ...args);
      return result;
    };
  };
  const count = (key) => () => (calls[key] += 1);
  wrap(globalThis.GPUComputePassEncoder, 'dispatchWorkgroups', count('dispatches'));
  wrap(globalThis.GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', count('dispatches'));
  wrap(globalThis.GPUQueue, 'submit', count('submits'));
  wrap(globalThis.GPUQueue, 'writeBuffer', count('uploads'));
  wrap(globalThis.GPUDevice, 'createBuffer', (buffer) => {
    calls.bytes += buffer.size;
    calls.peakBytes = Math.max(calls.peakBytes, calls.bytes);
  });
  wrap(globalThis.GPUBuffer, 'destroy', (_, buffer) => (calls.bytes -= buffer.size));
}
