/**
 * The training worker: owns the WebAssembly session and the training loop.
 *
 * It gets a compiled module and Blobs, and never touches the network. Session calls
 * go one at a time, first come first served; between two training steps everything else gets its turn,
 * so pause, stop, generate and save fall between steps. A GPU does a few steps in a row, for a fraction of a second, so that it
 * need not wait for us after each.
 */
import init, {
  Session,
  default_recipe,
  plan_sweep,
  start,
  sweep_seconds,
  sweep_survivors,
  validate_recipe,
} from 'loralet-wasm/loralet.js';
import type { DeviceChoice, DeviceReport, Message, Plan, StepReport } from '../types.js';
import { wireError } from '../errors.js';
import { help, startHelper, type HelpRequest } from './helper.js';
import type { Event, FromWorker, LoopOptions, Request, TrainState } from '../protocol.js';
import { holdLock } from './lock.js';
import { unreachable } from '../protocol.js';
import { cancelWaiting, inTurn, inTurnUnlessCancelled, nextTask } from './turns.js';

/** How long the steps of one call may take together, in seconds, and how many they may be. */
const CALL_SECONDS = 0.25;
const MOST_STEPS = 16;

let session: Session | null = null;
let onGpu = false;
let state: TrainState = 'idle';
/** The id of the request that began the latest run. */
let run = 0;
let loop: {
  options: LoopOptions;
  singleSteps: number;
  lastCheckpoint: number;
  step: number;
  /** Of the last step, in seconds. */
  stepSeconds: number;
  /** The step after which to pause. */
  until: number;
  /** The run ends while it waits for ratings. */
  abandoned: boolean;
} | null = null;
/** A run that has been asked for and is not there yet; a Stop meanwhile is meant for it. */
let beginning: { stopped: boolean } | null = null;
/** What the step in progress waits for. */
let rating: { question: number; resolve(ratings: number[]): void; reject(error: Error): void } | null = null;
let lastQuestion = 0;
let wakeLoop: () => void = () => undefined;
/** The answer that is being written. */
let writing: { id: number; cancelled: boolean } | null = null;

self.onmessage = (message: MessageEvent<Request | HelpRequest>) => {
  const request = message.data;
  if (request.type === 'help') help(request);
  answer(request).then(
    ({ value, transfer }) => {
      send({ type: 'answer', id: request.id, value: value as never }, transfer);
    },
    (error: unknown) => {
      send({ type: 'error', id: request.id, error: wireError(error) });
    },
  );
};

void holdLock().then((lock) => send({ type: 'loaded', lock }));

/** On the CPU with a second thread beside this one, where the browser lets them share memory. */
async function create(choice: DeviceChoice): Promise<DeviceReport> {
  const helper = choice === 'webgpu' ? null : await startHelper();
  session = await Session.create(choice);
  const device = session.device();
  onGpu = device.kind === 'webgpu';
  if (onGpu) helper?.terminate();
  return device;
}

interface Answered {
  value: unknown;
  transfer?: Transferable[];
}

async function answer(request: Request): Promise<Answered> {
  switch (request.type) {
    case 'create':
      await init({ module_or_path: request.module });
      start();
      return { value: await create(request.device) };
    case 'default_recipe':
      return { value: default_recipe() };
    case 'validate_recipe':
      return { value: validate_recipe(request.recipe) };
    case 'open_model':
      abandonRating();
      return cancellable(request.id, async (session) => {
        const report = (done: number, total: number) => {
          send({ type: 'model_progress', id: request.id, done, total });
        };
        const { files, modelName, baseDtype } = request;
        const opened = await session.open_model(files, modelName, baseDtype, report);
        endLoop('idle');
        return { value: opened };
      });
    case 'open_data':
      return exclusive(async (session) => ({
        value: session.open_data(request.fileName, request.bytes, request.recipe),
      }));
    case 'open_probe':
      return exclusive(async (session) => ({ value: session.open_probe(request.fileName, request.bytes) }));
    case 'close_probe':
      return exclusive(async (session) => {
        session.close_probe();
        return { value: null };
      });
    case 'open_reward_model':
      return exclusive(async (session) => {
        session.open_reward_model(request.files);
        return { value: null };
      });
    case 'close_reward_model':
      return exclusive(async (session) => {
        session.close_reward_model();
        return { value: null };
      });
    case 'begin':
      return begin(request.id, request.options, (session, rate) =>
        session.begin(request.recipe, rate, goesOn),
      );
    case 'resume_from':
      return begin(request.id, request.options, (session, rate) =>
        session.resume(request.checkpoint, rate, goesOn),
      );
    case 'pause':
      if (state === 'running') setState('pausing');
      return { value: null };
    case 'resume_loop':
    case 'train_until':
      if (loop) {
        loop.until = request.type === 'train_until' ? request.step : Infinity;
        setState('running');
        wakeLoop();
      }
      return { value: null };
    case 'step_once':
      if (loop && (state === 'paused' || state === 'pausing')) {
        loop.singleSteps += 1;
        wakeLoop();
      }
      return { value: null };
    case 'stop':
      if (beginning) beginning.stopped = true;
      if (loop) {
        setState('stopping');
        abandonRating();
        wakeLoop();
      }
      return { value: null };
    case 'rate_answers':
      if (rating?.question !== request.question) return { value: null };
      rating.resolve(request.ratings);
      rating = null;
      return { value: null };
    case 'reset_training':
      abandonRating();
      return exclusive(async (session) => {
        endLoop('idle');
        session.reset_training();
        return { value: null };
      });
    case 'evaluate':
      return exclusive(async (session) => ({ value: await session.evaluate() }));
    case 'search':
      return exclusive(async (session) => ({ value: await session.search(request.query, request.adapter) }));
    case 'score':
      return exclusive(async (session) => ({
        value: await session.score(request.recipe, request.adapter, request.heldOut),
      }));
    case 'logits':
      return exclusive(async (session) => ({
        value: await session.logits(request.inputIds, request.adapter),
      }));
    case 'generate':
      return cancellable(request.id, async (session) => {
        const mine = (writing = { id: request.id, cancelled: false });
        const onText = (delta: string) => {
          if (delta) send({ type: 'text', id: request.id, delta });
          // Messages are read before the next token, so that a cancel arrives.
          return nextTask().then(() => !mine.cancelled);
        };
        return { value: await session.generate(request.request, onText) };
      });
    case 'cancel':
      if (writing?.id === request.request) writing.cancelled = true;
      cancelWaiting(request.request);
      return { value: null };
    case 'save_checkpoint':
      return exclusive(async (session) => transferring(await session.save_checkpoint()));
    case 'adapter_files':
      return exclusive(async (session) => ({ value: await session.adapter_files() }));
    case 'adapter_zip':
      return exclusive(async (session) => transferring(await session.adapter_zip()));
    case 'load_adapter':
      return exclusive(async (session) => {
        await session.load_adapter(request.files);
        return { value: null };
      });
    case 'memory':
      return exclusive(async (session) => ({ value: session.memory() }));
    case 'plan_sweep':
      return { value: plan_sweep(request.recipe, request.sweep) };
    case 'sweep_seconds':
      return { value: sweep_seconds(request.plan, request.measured) };
    case 'sweep_survivors':
      return { value: [...sweep_survivors(request.plan, request.rung, request.losses)] };
    default:
      return unreachable(request);
  }
}

/** Runs `work` when everything asked for before is done. */
function exclusive<T>(work: (session: Session) => Promise<T>): Promise<T> {
  return inTurn(() => work(opened()));
}

/** As `exclusive`, for what a `cancel` may end before its turn comes. */
function cancellable(id: number, work: (session: Session) => Promise<Answered>): Promise<Answered> {
  return inTurnUnlessCancelled(id, () => work(opened()));
}

function opened(): Session {
  if (!session) throw new Error('the trainer is not started');
  return session;
}

/** As `exclusive`, for a run that something else may have taken the place of when its turn comes: then nothing is done. */
function exclusiveOf<T>(mine: NonNullable<typeof loop>, work: (session: Session) => Promise<T>) {
  return exclusive((session) => (loop === mine ? work(session) : Promise.resolve(null)));
}

/** Ends the run there is, if the new one can be planned. */
async function begin(
  id: number,
  options: LoopOptions,
  plan: (session: Session, rate: typeof askPerson | undefined) => Promise<Plan>,
): Promise<Answered> {
  abandonRating();
  const mine = (beginning = { stopped: false });
  try {
    return await exclusive(async (session) => {
      const value = await plan(session, options.rated ? askPerson : undefined);
      endLoop('idle');
      startLoop(id, options);
      if (mine.stopped) setState('stopping');
      return { value };
    });
  } finally {
    if (beginning === mine) beginning = null;
  }
}

function startLoop(id: number, options: LoopOptions): void {
  run = id;
  loop = {
    options,
    singleSteps: 0,
    lastCheckpoint: 0,
    step: 0,
    stepSeconds: Infinity,
    until: Infinity,
    abandoned: false,
  };
  setState(options.paused ? 'paused' : 'running');
  void runLoop(loop);
}

/** A call that failed leaves the loop as it was, so this comes after it. */
function endLoop(final: TrainState): void {
  loop = null;
  setState(final);
  wakeLoop();
}

/** Optimizer steps until finished, stopped or replaced by another loop. */
async function runLoop(mine: NonNullable<typeof loop>): Promise<void> {
  try {
    while (loop === mine) {
      // A macrotask: messages that came during the step are read before the next one.
      await nextTask();
      if (loop !== mine) return;
      if (state === 'stopping') {
        await checkpoint(mine);
        if (loop === mine) endLoop('stopped');
        return;
      }
      if (state !== 'running' && mine.singleSteps === 0) {
        await checkpoint(mine);
        if (loop !== mine) return;
        if (state === 'pausing') setState('paused');
        if (state === 'paused' && mine.singleSteps === 0)
          await new Promise<void>((wake) => (wakeLoop = wake));
        continue;
      }
      const most = stepsAhead(mine);
      if (mine.singleSteps > 0) mine.singleSteps -= 1;
      const reports = await exclusiveOf(mine, (session) => session.steps(most));
      if (loop !== mine || !reports) return;
      for (const report of reports) send({ type: 'step', run, report });
      const last = reports[reports.length - 1] as StepReport;
      mine.step = last.step;
      mine.stepSeconds = last.seconds;
      if (last.finished || last.step >= nextCheckpoint(mine)) await checkpoint(mine);
      if (last.finished && loop === mine) {
        endLoop('finished');
        return;
      }
      if (last.step >= mine.until && state === 'running') setState('pausing');
    }
  } catch (error) {
    if (loop !== mine) return;
    const failure = wireError(error);
    if (mine.abandoned || failure.kind === 'stopped') {
      await checkpoint(mine).catch(() => undefined);
      if (loop === mine) endLoop('stopped');
      return;
    }
    send({ type: 'loop_failed', run, error: failure });
    endLoop('failed');
  }
}

/** How many steps to do before messages are read again: on the CPU one, which is over when its call returns. */
function stepsAhead(mine: NonNullable<typeof loop>): number {
  if (!onGpu || mine.singleSteps > 0) return 1;
  const inTime = Math.floor(CALL_SECONDS / mine.stepSeconds);
  const toStop = Math.min(mine.until, nextCheckpoint(mine)) - mine.step;
  return Math.max(1, Math.min(MOST_STEPS, inTime, toStop));
}

/** The step after which a checkpoint is due. */
function nextCheckpoint(mine: NonNullable<typeof loop>): number {
  const every = mine.options.checkpointEvery;
  return every ? mine.lastCheckpoint + every : Infinity;
}

/** Asks the person at the page what sampled answers are worth. */
function askPerson(prompt: Message[], answers: string[]): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const question = ++lastQuestion;
    rating = { question, resolve, reject };
    send({ type: 'rate', run, question, prompt, answers });
  });
}

/** Whether a run that samples answers is to write the next token; messages are read before. */
function goesOn(): Promise<boolean> {
  return nextTask().then(() => state !== 'stopping');
}

/** Nobody rates the answers any more: the step that waits for it fails and leaves everything as it was. */
function abandonRating(): void {
  if (!rating) return;
  if (loop) loop.abandoned = true;
  rating.reject(new Error('the run was ended'));
  rating = null;
}

async function checkpoint(mine: NonNullable<typeof loop>): Promise<void> {
  if (!mine.options.checkpointEvery || mine.step === mine.lastCheckpoint) return;
  const bytes = await exclusiveOf(mine, (session) => session.save_checkpoint());
  if (!bytes) return;
  mine.lastCheckpoint = mine.step;
  send({ type: 'checkpoint', run, step: mine.step, bytes }, [bytes.buffer]);
}

function setState(next: TrainState): void {
  if (state === next) return;
  state = next;
  send({ type: 'state', run, state });
}

function transferring(bytes: Uint8Array<ArrayBuffer>): Answered {
  return { value: bytes, transfer: [bytes.buffer] };
}

function send(message: FromWorker | Event, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}
