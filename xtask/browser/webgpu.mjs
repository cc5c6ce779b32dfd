// Counts what a training step asks of WebGPU: bench.html on a software adapter, with the calls wrapped,
// and beside it another library's page with the same interface, if one is named.
// The call comes as one line of JSON on stdin, the figures go to stdout as one.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { countCalls, launchSoftware } from './chromium.mjs';
import { servePeer } from './peers/serve.mjs';
import { randomWeights } from './weights.mjs';

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

/** Steps before the first that is timed. */
const WARMUP = 2;
/** How often each side of a comparison has its turn. */
const TURNS = 3;

const [line] = await once(createInterface({ input: process.stdin }), 'line');
const { url, chromium, modules, steps, peer } = JSON.parse(line);
const browser = await launchSoftware(modules, chromium);
try {
  const ours = await open('/bench.html');
  const result = await measure(ours);
  if (peer) result.peer = await compare(ours, peer);
  console.log(JSON.stringify(result));
} catch (error) {
  console.log(JSON.stringify({ failed: String(error.message ?? error).split('\n')[0] }));
}
await browser.close();
process.exit();

async function open(path) {
  const page = await browser.newPage();
  if (peer) await servePeer(page, peer);
  await page.goto(new URL(path, url).href);
  await page.waitForFunction('window.bench !== undefined');
  await page.evaluate(countCalls);
  return page;
}

async function measure(page) {
  const [all, half] = [
    await counted(page, WORKLOAD),
    await counted(page, { ...WORKLOAD, layers: WORKLOAD.layers / 2 }),
  ];
  const timed = await run(page, WORKLOAD, steps);
  return {
    workload: WORKLOAD,
    step_ms: timed.step_ms,
    losses: timed.losses,
    dispatches_per_step: all.dispatches,
    // What each further layer adds.
    dispatches_per_layer: (all.dispatches - half.dispatches) / (WORKLOAD.layers / 2),
    submits_per_step: all.submits,
    uploads_per_step: all.uploads,
    peak_buffer_bytes: timed.peakBytes,
  };
}

/** The two take turns, so that a machine that is busy for a while is so for both. */
async function compare(ours, peer) {
  const theirs = await open(peer.page);
  const { dispatches, submits } = await counted(theirs, WORKLOAD);
  const turns = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    turns.push([await run(ours, WORKLOAD, steps), await run(theirs, WORKLOAD, steps)]);
  }
  const side = (index) => ({
    step_ms: turns.flatMap((turn) => turn[index].step_ms),
    losses: turns[0][index].losses,
  });
  return {
    ours: side(0),
    theirs: { ...side(1), dispatches_per_step: dispatches, submits_per_step: submits },
  };
}

/** Calls a step. Setting up costs calls too, so two runs of different length are compared. */
async function counted(page, workload) {
  // The first run of a page also sets the device up and compiles kernels.
  await run(page, workload, 1, 0);
  const [short, long] = [await run(page, workload, 1, 0), await run(page, workload, 3, 0)];
  const mean = (key) => (long[key] - short[key]) / 2;
  return { dispatches: mean('dispatches'), submits: mean('submits'), uploads: mean('uploads') };
}

function run(page, workload, steps, warmup = WARMUP) {
  const weights = randomWeights(workload).toString('base64');
  return page.evaluate(
    async ([options, weights]) => {
      const { calls } = globalThis;
      Object.assign(calls, { dispatches: 0, submits: 0, uploads: 0 });
      const weightsUrl = `data:application/octet-stream;base64,${weights}`;
      const result = await globalThis.bench({ ...options, weightsUrl });
      return { ...result, ...calls };
    },
    [{ workload, steps, warmup }, weights],
  );
}
