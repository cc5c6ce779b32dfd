/**
 * Fine-tunes small language models in the browser, without any interface.
 *
 * ```ts
 * const engine = new Engine();
 * const trainer = await engine.start({ device: 'auto', signal });
 * await trainer.openModel(files, 'my-model', { onProgress: (done, total) => … });
 * const recipe = await trainer.defaultRecipe();
 * await trainer.openData('cats.jsonl', bytes, recipe);
 * const run = await trainer.begin(recipe, { signal });
 * run.addEventListener('step', ({ detail }) => console.log(detail.step, detail.loss));
 * await run.ended;
 * const zip = await trainer.adapterZip();
 * ```
 *
 * Each request is a promise; what happens to a run is an event of it; an `AbortSignal` ends either. What fails is a
 * `LoraletError`: programs act by its `kind` and `key`, people read its `message`.
 */
export { Engine } from './engine.js';
export { Trainer } from './trainer.js';
export type { GenerateOptions, OpenModelOptions, Options, WorthOptions } from './trainer.js';
export { Run } from './run.js';
export type { Checkpoint, Question, RunEvents } from './run.js';
export type { LoopOptions, TrainState } from './protocol.js';
export { LoraletError, isFatal, wasStopped } from './errors.js';
export type { ErrorArgs, ErrorKind } from './errors.js';
export { BrowserWorkers } from './workers.js';
export type { Spawned, Workers } from './workers.js';

/** What objectives measure beside their losses. */
export { evaluationFigures, stepFigures } from './figures.js';
export type { Figure, Rank } from './figures.js';

/** Sweeps over settings. */
export { measure, runSweep } from './sweep.js';
export type { SweepEnd, SweepListener } from './sweep.js';

/** Models from a page's own server and from the Hugging Face Hub. */
export { baseOf, bundledKey, describe, fetchBundled, listBundled } from './hub/bundled.js';
export type { BundledModel } from './hub/bundled.js';
export { DEFAULT_ENDPOINT, downloadJob, listWeights } from './hub/hub.js';
export type { HubAddress, WeightsChoice } from './hub/hub.js';
export { download, openCached } from './hub/download.js';
export type { DownloadJob, Transfer } from './hub/download.js';
export { sha256Of } from './hub/digest.js';
export { fetchData, fetchModel, nameOf } from './hub/url.js';
export { CARRIED, carriedModel } from './hub/carried.js';
export type { Link, Wait } from './hub/request.js';

/** What is kept on this device. */
export { WorkspaceStorage } from './storage/storage.js';
export { isStorageError } from './storage/files.js';
export { openElsewhere } from './storage/checkpoints.js';
export type { Checkpoints, KeptRun, RunFiles, SavedRun } from './storage/checkpoints.js';
export type { Release } from './storage/locks.js';
export type { CachedModel, ModelSource, ModelStorage } from './storage/models.js';
export type { Pick, PickStorage, Verdict } from './storage/picks.js';
export type { CurvePoint, RunData, RunRecord, RunState } from './storage/runs.js';

export type * from './types.js';
