/**
 * Answers the page. Calls of the session go one at a time, first come first served; between two training steps everything
 * else gets its turn, so pause, stop, generate and save fall between steps.
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
import { LoraletError } from '../errors.js';
import { unreachable, type Answer, type FromWorker, type Request, type RequestType } from '../protocol.js';
import type { DeviceChoice, DeviceReport, ExportRequest, ModelFile } from '../types.js';
import { startHelper } from './helper.js';
import { Loop } from './loop.js';
import { readable } from './parquet.js';
import { Turns, nextTask } from './turns.js';

export type Send = (message: FromWorker, transfer?: Transferable[]) => void;

export interface Answered {
  value: Answer<RequestType>;
  transfer?: Transferable[];
}

export class Requests {
  private session: Session | null = null;
  private onGpu = false;
  private readonly turns = new Turns();
  private readonly loop: Loop;
  /** The answer, or the measurement, that is under way. */
  private writing: { id: number; cancelled: boolean } | null = null;

  constructor(private readonly send: Send) {
    this.loop = new Loop({
      send,
      onGpu: () => this.onGpu,
      exclusive: (work) => this.turns.inTurn(() => work(this.opened())),
    });
  }

  async answer(request: Request): Promise<Answered> {
    const { id } = request;
    switch (request.type) {
      case 'create':
        await init({ module_or_path: request.module });
        start();
        return { value: await this.create(request.device) };
      case 'default_recipe':
        return { value: default_recipe() };
      case 'validate_recipe':
        return { value: validate_recipe(request.recipe) };
      case 'open_model':
        this.loop.abandonRating();
        return this.exclusive(id, async (session) => {
          const report = (done: number, total: number) => {
            this.send({ type: 'model_progress', id, done, total });
          };
          const { files, modelName, baseDtype } = request;
          const opened = await session.open_model(files, modelName, baseDtype, report);
          this.loop.end('idle');
          return { value: opened };
        });
      case 'open_data':
        return this.exclusive(id, async (session) => ({
          value: session.open_data(
            request.fileName,
            await readable(request.fileName, request.bytes),
            request.recipe,
          ),
        }));
      case 'open_probe':
        return this.exclusive(id, async (session) => ({
          value: session.open_probe(request.fileName, await readable(request.fileName, request.bytes)),
        }));
      case 'close_probe':
        return this.exclusive(id, async (session) => done(session.close_probe()));
      case 'open_reward_model':
        return this.exclusive(id, async (session) => done(session.open_reward_model(request.files)));
      case 'close_reward_model':
        return this.exclusive(id, async (session) => done(session.close_reward_model()));
      case 'begin':
        return this.begin(request, (session, rate, goOn) => session.begin(request.recipe, rate, goOn));
      case 'resume_from':
        return this.begin(request, (session, rate, goOn) => session.resume(request.checkpoint, rate, goOn));
      case 'pause':
        return done(this.loop.pause(request.run));
      case 'resume_loop':
        return done(this.loop.resume(request.run, Infinity));
      case 'train_until':
        return done(this.loop.resume(request.run, request.step));
      case 'step_once':
        return done(this.loop.stepOnce(request.run));
      case 'stop':
        return done(this.loop.stop(request.run));
      case 'rate_answers':
        return done(this.loop.rate(request.question, request.ratings));
      case 'reset_training':
        this.loop.abandonRating();
        return this.exclusive(id, async (session) => {
          this.loop.end('idle');
          return done(session.reset_training());
        });
      case 'evaluate':
        return this.exclusive(id, async (session) => ({ value: await session.evaluate() }));
      case 'search':
        return this.exclusive(id, async (session) => ({
          value: await session.search(request.query, request.adapter),
        }));
      case 'score':
        return this.exclusive(id, async (session) => ({
          value: await session.score(request.recipe, request.adapter, request.heldOut),
        }));
      case 'worth':
        return this.exclusive(id, async (session) => {
          const mine = (this.writing = { id, cancelled: false });
          let told = -1;
          const onProgress = (done: number, total: number) => {
            if (done !== told) this.send({ type: 'worth_progress', id, done, total });
            told = done;
            return nextTask().then(() => !mine.cancelled);
          };
          return { value: await session.worth(request.recipe, request.request, onProgress) };
        });
      case 'logits':
        return this.exclusive(id, async (session) => ({
          value: await session.logits(request.inputIds, request.adapter),
        }));
      case 'predict':
        return this.exclusive(id, async (session) => ({ value: await session.predict(request.request) }));
      case 'generate':
        return this.exclusive(id, async (session) => {
          const mine = (this.writing = { id, cancelled: false });
          const onText = (delta: string) => {
            if (delta) this.send({ type: 'text', id, delta });
            // Messages are read before the next token, so that a cancel arrives.
            return nextTask().then(() => !mine.cancelled);
          };
          return { value: await session.generate(request.request, onText) };
        });
      case 'cancel':
        if (this.writing?.id === request.request) this.writing.cancelled = true;
        this.turns.cancel(request.request);
        return done(this.loop.stop(request.request));
      case 'save_checkpoint':
        return this.exclusive(id, async (session) => transferring(await session.save_checkpoint()));
      case 'adapter_files':
        return this.exclusive(id, async (session) => ({ value: await session.adapter_files() }));
      case 'graduate':
        return this.exclusive(id, async (session) => ({ value: await session.graduate(request.recipe) }));
      case 'graduate_zip':
        return this.exclusive(id, async (session) =>
          transferring(await session.graduate_zip(request.recipe)),
        );
      case 'adapter_zip':
        return this.exclusive(id, async (session) => transferring(await session.adapter_zip()));
      case 'export_manifest':
        return this.exclusive(id, async (session) => ({
          value: await session.export_manifest(request.request),
        }));
      case 'export':
        return this.exclusive(id, async (session) => ({ value: await exported(session, request.request) }));
      case 'load_adapter':
        return this.exclusive(id, async (session) => done(await session.load_adapter(request.files)));
      case 'memory':
        return this.exclusive(id, async (session) => ({ value: session.memory() }));
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

  /** On the CPU with a second thread beside this one, where the browser lets them share memory. */
  private async create(choice: DeviceChoice): Promise<DeviceReport> {
    const helper = choice === 'webgpu' ? null : await startHelper();
    this.session = await Session.create(choice);
    const device = this.session.device();
    this.onGpu = device.kind === 'webgpu';
    if (this.onGpu) helper?.terminate();
    return device;
  }

  private opened(): Session {
    if (!this.session) throw new LoraletError('not_ready', 'the trainer is not started', { key: 'trainer' });
    return this.session;
  }

  /** When everything asked for before is done, unless a `cancel` ends it before. */
  private exclusive(id: number, work: (session: Session) => Promise<Answered>): Promise<Answered> {
    return this.turns.inTurnUnlessCancelled(id, () => work(this.opened()));
  }

  /** Ends the run there is, if the new one can be planned. */
  private async begin(
    { id, options }: Extract<Request, { type: 'begin' | 'resume_from' }>,
    plan: (session: Session, ...listeners: ReturnType<Loop['listeners']>) => ReturnType<Session['begin']>,
  ): Promise<Answered> {
    const asked = this.loop.ask(id);
    try {
      return await this.exclusive(id, async (session) => {
        const value = await plan(session, ...this.loop.listeners(options));
        this.loop.start(asked, options);
        return { value };
      });
    } finally {
      this.loop.answered(asked);
    }
  }
}

/** Nothing is to be said of what was done. */
function done(_: unknown): Answered {
  return { value: null };
}

/** The pieces of a file go into a blob, which the browser may keep on disk, as they are made. */
async function exported(session: Session, request: ExportRequest): Promise<ModelFile[]> {
  const files = new Map<string, Blob[]>();
  await session.export(request, (name, bytes) => {
    const pieces = files.get(name) ?? [];
    files.set(name, pieces);
    pieces.push(new Blob([bytes]));
  });
  return [...files].map(([name, pieces]) => ({ name, blob: new Blob(pieces) }));
}

function transferring(bytes: Uint8Array<ArrayBuffer>): Answered {
  return { value: bytes, transfer: [bytes.buffer] };
}
