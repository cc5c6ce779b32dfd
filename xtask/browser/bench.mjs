// Keeps bench.html open, on the CPU and on a software WebGPU adapter with its calls wrapped, and beside it another library's
// page with the same interface, if one is named. Answers each request, a line of JSON on stdin, with a line on stdout:
//   { page, train: { workload, weights, steps, warmup } }  steps, and the GPU buffers that the page has had at most
//   { page, count: { workload, weights } }                 what a step asks of WebGPU
//   { page, ops: workload }                                each operation timed once; set up anew for another workload
//   { page, op_calls: workload }                           what each operation asks of WebGPU
// `weights` is a file: made here where it is not there yet.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { countCalls, launchSoftware } from './chromium.mjs';
import { servePeer } from './peers/serve.mjs';
import { randomWeights } from './weights.mjs';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { url, chromium, modules, peer } = JSON.parse((await lines.next()).value);
const browser = await launchSoftware(modules, chromium);
const pages = new Map();
for await (const line of lines) {
  try {
    console.log(JSON.stringify(await answer(JSON.parse(line))));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error.message ?? error).split('\n')[0] }));
  }
}
await browser.close();
process.exit();

async function answer(request) {
  const page = await opened(request.page);
  if (request.train) return train(page, request.train);
  if (request.count) return counted(page, request.count);
  if (request.ops) return timedOps(page, request.ops);
  return opCalls(page, request.op_calls);
}

async function opened(path) {
  if (!pages.has(path)) {
    const page = await browser.newPage();
    if (peer) await servePeer(page, peer);
    await page.goto(new URL(path, url).href);
    await page.waitForFunction('window.bench !== undefined');
    await page.evaluate(countCalls);
    pages.set(path, page);
  }
  return pages.get(path);
}

function train(page, { workload, weights, steps, warmup }) {
  if (!existsSync(weights)) writeFileSync(weights, randomWeights(workload));
  const base64 = readFileSync(weights).toString('base64');
  return page.evaluate(
    async ([options, base64]) => {
      const { calls } = globalThis;
      Object.assign(calls, { dispatches: 0, submits: 0, uploads: 0 });
      const weightsUrl = `data:application/octet-stream;base64,${base64}`;
      const result = await globalThis.bench({ ...options, weightsUrl });
      const { dispatches, submits, uploads, peakBytes } = calls;
      return { ...result, dispatches, submits, uploads, peak_buffer_bytes: peakBytes };
    },
    [{ workload, steps, warmup }, base64],
  );
}

/** Calls a step. Setting up costs calls too, so two runs of different length are compared. */
async function counted(page, { workload, weights }) {
  const run = (steps) => train(page, { workload, weights, steps, warmup: 0 });
  // The first run of a page also sets the device up and compiles kernels.
  await run(1);
  const [short, long] = [await run(1), await run(3)];
  const mean = (key) => (long[key] - short[key]) / 2;
  return {
    adapter: await page.evaluate(async () => {
      const { vendor, architecture, description } = (await navigator.gpu.requestAdapter()).info;
      return [vendor, architecture, description].filter(Boolean).join(' ');
    }),
    browser: browser.version(),
    dispatches: mean('dispatches'),
    submits: mean('submits'),
    uploads: mean('uploads'),
  };
}

function timedOps(page, workload) {
  return page.evaluate(async (workload) => {
    const sizes = JSON.stringify(workload);
    if (globalThis.sizes !== sizes) {
      globalThis.ops?.free();
      Object.assign(globalThis, { sizes, ops: await globalThis.benchOps({ workload }) });
    }
    return globalThis.ops.turn();
  }, workload);
}

/** Dispatches of each operation, `[forward, backward]`: of three launches less those of one, which a readback follows too. */
function opCalls(page, workload) {
  return page.evaluate(async (workload) => {
    const ops = await globalThis.benchOps({ workload });
    const dispatches = async (index, withBackward, times) => {
      const before = globalThis.calls.dispatches;
      await ops.run(index, withBackward, times);
      return globalThis.calls.dispatches - before;
    };
    const counts = [];
    for (const [index, { backward }] of (await ops.turn()).entries()) {
      const of = async (withBackward) =>
        ((await dispatches(index, withBackward, 3)) - (await dispatches(index, withBackward, 1))) / 2;
      const forward = await of(false);
      counts.push([forward, backward ? (await of(true)) - forward : null]);
    }
    ops.free();
    return counts;
  }, workload);
}
