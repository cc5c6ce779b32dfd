/** The runs of a client: whatever the worker tells of one goes to its handlers, from the request that begins it on. */
import type { Message, Plan, StepReport } from './types.js';
import { trainerError, type TrainerError } from './errors.js';
import type { RunEvent, TrainState } from './protocol.js';
import { unreachable } from './protocol.js';
import { withResolvers, type PromiseWithResolvers } from './resolvers.js';

export interface TrainHandlers {
  onStep?(report: StepReport): void;
  /** Sampled answers wait for `rateAnswers`; with `rated` in the options only. */
  onRate?(prompt: Message[], answers: string[]): void;
  onState?(state: TrainState): void;
  onCheckpoint?(bytes: Uint8Array<ArrayBuffer>, step: number): void;
}

interface Run {
  handlers: TrainHandlers;
  ended: PromiseWithResolvers<'finished' | 'stopped'>;
}

/** After these a run tells nothing more. */
const ENDED: TrainState[] = ['idle', 'stopped', 'finished', 'failed'];

export class ClientRuns {
  latest: Run = { handlers: {}, ended: withResolvers() };
  /** The latest that a run asked with `onRate`. */
  question = 0;
  /** The runs that may still tell something, by the ids of the requests that began them. */
  private readonly open = new Map<number, Run>();

  /** A run that cannot begin leaves the one before it as it was. */
  async begin(id: number, handlers: TrainHandlers, begin: () => Promise<Plan>): Promise<Plan> {
    const before = this.latest;
    const run: Run = { handlers, ended: withResolvers() };
    this.open.set(id, run);
    this.latest = run;
    try {
      return await begin();
    } catch (error) {
      this.open.delete(id);
      if (this.latest === run) this.latest = before;
      throw error;
    }
  }

  receive(message: RunEvent): void {
    const run = this.open.get(message.run);
    if (!run) return;
    const { handlers, ended } = run;
    switch (message.type) {
      case 'step':
        handlers.onStep?.(message.report);
        break;
      case 'rate':
        this.question = message.question;
        handlers.onRate?.(message.prompt, message.answers);
        break;
      case 'state':
        handlers.onState?.(message.state);
        if (!ENDED.includes(message.state)) break;
        // A run that something else takes the place of has stopped; one that failed has been rejected.
        ended.resolve(message.state === 'finished' ? 'finished' : 'stopped');
        this.open.delete(message.run);
        break;
      case 'checkpoint':
        handlers.onCheckpoint?.(message.bytes, message.step);
        break;
      case 'loop_failed':
        ended.reject(trainerError(message.error));
        break;
      default:
        unreachable(message);
    }
  }

  rejectAll(error: TrainerError): void {
    for (const run of this.open.values()) run.ended.reject(error);
    this.open.clear();
  }
}
