/**
 * The page without an interface. `cargo xtask train` and its siblings open it in headless Chromium and
 * pass a job; everything runs through the same engine as on the page.
 */
import {
  Engine,
  LoraletError,
  measure,
  runSweep,
  type DeviceChoice,
  type ExportRequest,
  type GenerateRequest,
  type Recipe,
  type Sweep,
  type Trainer,
  type WorthRequest,
} from '../src/engine/index.js';

/** A file that the command serves to this page. */
interface RemoteFile {
  name: string;
  url: string;
}

/** What one command wants: a model, perhaps data and an adapter, then tasks in order. */
interface Job {
  device: DeviceChoice;
  model: { name: string; files: RemoteFile[] };
  adapter: RemoteFile[];
  data: RemoteFile | null;
  probe: RemoteFile | null;
  /** The adapter of a reward model; empty for none. */
  reward_model: RemoteFile[];
  recipe: unknown;
  tasks: Task[];
}

type Task =
  | { task: 'generate'; label: string; request: GenerateRequest }
  | {
      task: 'train';
      resume: RemoteFile | null;
      /** Steps between checkpoints; null keeps none. */
      checkpoint_every: number | null;
      /** Ends the run early, as closing the page would; null runs to the end. */
      stop_after: number | null;
      /** Scores the held-out rows before the first step, too. */
      evaluate_base: boolean;
      /** Steps after which the memory in use is told, among the first `stop_after`. */
      memory_after: number[];
    }
  | { task: 'score'; adapter: boolean; held_out: boolean }
  | { task: 'worth'; request: WorthRequest }
  | {
      task: 'logits';
      input_ids: number[];
      /** Which logits of each position are written; all of them would be gigabytes. None of a classifier. */
      vocab_ids: number[];
      /** Those with the adapter as well as the base's. */
      adapter: boolean;
    }
  | { task: 'save_adapter' }
  | { task: 'graduate' }
  | { task: 'export'; request: ExportRequest }
  | { task: 'sweep'; sweep: Sweep; estimate_only: boolean };

/** What the command is told meanwhile: one JSON object each. */
type Emit = (event: { event: string } & Record<string, unknown>) => void;

/** Where outputs go: the command's server writes them into the run's folder. */
const OUTPUTS = '/job/out/';

async function run(job: Job, emit: Emit): Promise<void> {
  const trainer = await new Engine().start({ device: job.device });
  try {
    emit({ event: 'device', device: trainer.device });
    const recipe = await trainer.validateRecipe({ ...(job.recipe as object), device: job.device });
    // A setting that makes no sense is told before the model is loaded.
    for (const task of job.tasks) if (task.task === 'sweep') await trainer.planSweep(recipe, task.sweep);
    await openInputs(trainer, job, recipe, emit);
    for (const task of job.tasks) await perform(trainer, task, recipe, emit);
    emit({ event: 'memory', memory: await trainer.memory() });
  } finally {
    trainer.terminate();
  }
}

async function openInputs(trainer: Trainer, job: Job, recipe: Recipe, emit: Emit): Promise<void> {
  const files = await Promise.all(
    job.model.files.map(async ({ name, url }) => ({ name, blob: await (await get(url)).blob() })),
  );
  const model = await trainer.openModel(files, job.model.name, {
    baseDtype: recipe.base_dtype,
    onProgress: (done, total) => emit({ event: 'model_progress', done, total }),
  });
  emit({ event: 'model', model });
  if (job.data) {
    const { report } = await trainer.openData(job.data.name, await bytesOf(job.data), recipe);
    emit({ event: 'data', data: report });
  }
  if (job.probe) await trainer.openProbe(job.probe.name, await bytesOf(job.probe));
  const adapter = (files: RemoteFile[]) =>
    Promise.all(files.map(async (file) => ({ name: file.name, bytes: await bytesOf(file) })));
  if (job.reward_model.length > 0) await trainer.openRewardModel(await adapter(job.reward_model));
  if (job.adapter.length > 0) await trainer.loadAdapter(await adapter(job.adapter));
}

async function perform(trainer: Trainer, task: Task, recipe: Recipe, emit: Emit): Promise<void> {
  switch (task.task) {
    case 'generate': {
      const onText = (delta: string) => emit({ event: 'text', label: task.label, delta });
      const report = await trainer.generate(task.request, { onText });
      emit({ event: 'generated', label: task.label, report });
      break;
    }
    case 'train':
      await train(trainer, task, recipe, emit);
      break;
    case 'score': {
      const evaluation = await trainer.score(recipe, task.adapter, task.held_out);
      emit({ event: 'scored', adapter: task.adapter, evaluation });
      break;
    }
    case 'worth':
      emit({ event: 'worth', worth: await trainer.worth(recipe, task.request) });
      break;
    case 'logits':
      await put('logits.json', new TextEncoder().encode(JSON.stringify(await logits(trainer, task))));
      break;
    case 'save_adapter':
      for (const { name, bytes } of await trainer.adapterFiles()) await put(`adapter/${name}`, bytes);
      break;
    case 'graduate':
      for (const { name, bytes } of await trainer.graduate(recipe)) await put(name, bytes);
      break;
    case 'export': {
      const manifest = await trainer.exportManifest(task.request);
      for (const { name, blob } of await trainer.export(task.request)) await put(name, blob);
      emit({ event: 'exported', manifest });
      break;
    }
    case 'sweep':
      await sweep(trainer, task, recipe, emit);
      break;
  }
}

async function train(
  trainer: Trainer,
  task: Extract<Task, { task: 'train' }>,
  recipe: Recipe,
  emit: Emit,
): Promise<void> {
  const paused = task.stop_after !== null || task.evaluate_base;
  const options = { paused, checkpointEvery: task.checkpoint_every };
  const run = task.resume
    ? await trainer.resumeFrom(await bytesOf(task.resume), options)
    : await trainer.begin(recipe, options);
  emit({ event: 'plan', plan: run.plan });
  run.addEventListener('step', ({ detail: report }) => emit({ event: 'step', report }));
  // One after the other: the server must be left with the last of them.
  let uploads = Promise.resolve();
  run.addEventListener('checkpoint', ({ detail: { bytes, step } }) => {
    uploads = uploads
      .then(() => put('checkpoint.bin', bytes))
      .then(() => emit({ event: 'checkpoint', step }));
    // Reported below, once the run has ended.
    uploads.catch(() => undefined);
  });

  if (task.evaluate_base) {
    // Untrained, an adapter changes nothing.
    emit({ event: 'base_evaluation', evaluation: await trainer.evaluate() });
    await run.resume();
  }
  for (let step = 1; step <= (task.stop_after ?? 0); step++) {
    const stepped = new Promise<void>((resolve) =>
      run.addEventListener('step', () => resolve(), { once: true }),
    );
    await run.stepOnce();
    // A run that ends or fails before its next step would otherwise be waited for in vain.
    if ((await Promise.race([stepped, run.ended])) !== undefined) break;
    if (task.memory_after.includes(step)) {
      // No step runs meanwhile, so both count the same moment.
      const { bytes, peakBytes } = await window.loraletBufferBytes();
      const memory = {
        ...(await trainer.memory()),
        gpu_buffer_bytes: bytes,
        gpu_peak_buffer_bytes: peakBytes,
      };
      emit({ event: 'memory_after', step, memory });
    }
  }
  if (task.stop_after !== null) await run.stop();
  const outcome = await run.ended;
  emit({ event: 'trained', outcome, memory: await trainer.memory() });
  await uploads;
}

async function sweep(
  trainer: Trainer,
  task: Extract<Task, { task: 'sweep' }>,
  recipe: Recipe,
  emit: Emit,
): Promise<void> {
  const plan = await trainer.planSweep(recipe, task.sweep);
  const measured = await measure(trainer, plan);
  emit({ event: 'sweep', plan, measured, seconds: await trainer.sweepSeconds(plan, measured) });
  if (task.estimate_only) return;
  const listener = {
    onRun: (run: number, rung: number, plan: unknown) => emit({ event: 'sweep_run', run, rung, plan }),
    onStep: (run: number, report: unknown) => emit({ event: 'sweep_step', run, report }),
    onEvaluation: (run: number, step: number, evaluation: unknown) =>
      emit({ event: 'sweep_evaluation', run, step, evaluation }),
    onEnd: (run: number, how: string, error: string | null) => emit({ event: 'sweep_end', run, how, error }),
  };
  await runSweep(trainer, plan, listener, new AbortController().signal);
}

/** The base's, and those with the adapter, or a classifier's scores of the text, in the form that the scripts of tests/interop read. */
async function logits(trainer: Trainer, task: Extract<Task, { task: 'logits' }>): Promise<unknown> {
  const { input_ids, vocab_ids } = task;
  if (vocab_ids.length === 0) {
    return { input_ids, scores: [...(await trainer.logits(Uint32Array.from(input_ids), true))] };
  }
  const pick = async (adapter: boolean) => {
    const all = await trainer.logits(Uint32Array.from(input_ids), adapter);
    const vocabulary = all.length / input_ids.length;
    return input_ids.map((_, position) => vocab_ids.map((id) => all[position * vocabulary + id]));
  };
  const ofBase = { input_ids, vocab_ids, base_logits: await pick(false) };
  return task.adapter ? { ...ofBase, logits: await pick(true) } : ofBase;
}

async function get(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status} to GET ${url}`);
  return response;
}

async function bytesOf(file: RemoteFile): Promise<Uint8Array> {
  return new Uint8Array(await (await get(file.url)).arrayBuffer());
}

async function put(name: string, content: Uint8Array | Blob): Promise<void> {
  const body = content instanceof Blob ? content : new Blob([content as BlobPart]);
  const response = await fetch(OUTPUTS + name, { method: 'PUT', body });
  if (!response.ok) throw new Error(`the server answered ${response.status} to PUT ${OUTPUTS}${name}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

declare global {
  interface Window {
    /** Runs a job; each event, the last of them `done` or `failed`, goes to `loraletEvent`. */
    loraletRun(job: Job): Promise<void>;
    /** Given to the page by the script that drives it. */
    loraletEvent(json: string): void;
    /** Given likewise: bytes of the worker's GPU buffers, which it cannot count itself. */
    loraletBufferBytes(): Promise<{ bytes: number; peakBytes: number }>;
  }
}

window.loraletRun = async (job) => {
  // `at` counts from the moment the page was asked for.
  const emit: Emit = (event) =>
    window.loraletEvent(JSON.stringify({ ...event, at: performance.now() / 1000 }));
  try {
    await run(job, emit);
    emit({ event: 'done' });
  } catch (error) {
    const failed = error instanceof LoraletError ? error : new LoraletError('unexpected', messageOf(error));
    const { kind, key, args, message } = failed;
    emit({ event: 'failed', kind, key, args, message });
  }
};
