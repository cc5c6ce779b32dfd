/** Runs as the page sees them: whatever the worker tells of one becomes an event of it. */
import { fromWire, type LoraletError } from './errors.js';
import { unreachable, type RunEvent, type TrainState } from './protocol.js';
import { withResolvers } from './resolvers.js';
import type { Message, Plan, StepReport } from './types.js';

/** A run as it stands after a step; `Trainer.resumeFrom` goes on from it. */
export interface Checkpoint {
  step: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Sampled answers that wait for `Run.rate`. */
export interface Question {
  prompt: Message[];
  answers: string[];
}

/** The events of a run; `detail` says what happened. */
export interface RunEvents {
  /** A step is done. */
  step: CustomEvent<StepReport>;
  /** `Run.state` has changed. */
  state: CustomEvent<TrainState>;
  /** With `checkpointEvery` in the options only. */
  checkpoint: CustomEvent<Checkpoint>;
  /** With `rated` in the options only. */
  rate: CustomEvent<Question>;
}

/** Asks the worker for something that concerns one run. */
export interface RunRequests {
  pause(): Promise<null>;
  resume(): Promise<null>;
  trainUntil(step: number): Promise<null>;
  stepOnce(): Promise<null>;
  stop(): Promise<null>;
  rate(question: number, ratings: number[]): Promise<null>;
}

/** After these a run tells nothing more. */
const ENDED: TrainState[] = ['idle', 'stopped', 'finished', 'failed'];

/**
 * A run. It goes on by itself; listeners that are added at once when it is handed out miss no event.
 *
 * What is asked of a run that has ended, or that another has taken the place of, does nothing.
 */
export class Run {
  /** What the run does; known once it has begun. */
  plan!: Plan;
  state: TrainState = 'idle';
  private question = 0;
  private readonly events = new EventTarget();
  private readonly ending = withResolvers<'finished' | 'stopped'>();

  constructor(private readonly requests: RunRequests) {}

  /** How the run ended; rejects with the error that ended it. One that another takes the place of has stopped. */
  get ended(): Promise<'finished' | 'stopped'> {
    return this.ending.promise;
  }

  /** Waits after the step in progress. */
  pause(): Promise<null> {
    return this.requests.pause();
  }

  resume(): Promise<null> {
    return this.requests.resume();
  }

  /** Goes on, and pauses once this step is done. */
  trainUntil(step: number): Promise<null> {
    return this.requests.trainUntil(step);
  }

  /** One step, while paused. */
  stepOnce(): Promise<null> {
    return this.requests.stepOnce();
  }

  /** Ends the run after the step in progress; the adapter stays. */
  stop(): Promise<null> {
    return this.requests.stop();
  }

  /** What the answers of the latest `rate` event are worth, a number each, higher for better; the step goes on. */
  rate(ratings: number[]): Promise<null> {
    return this.requests.rate(this.question, ratings);
  }

  addEventListener<K extends keyof RunEvents>(
    type: K,
    listener: (event: RunEvents[K]) => void,
    options?: AddEventListenerOptions | boolean,
  ): void {
    this.events.addEventListener(type, listener as EventListener, options);
  }

  removeEventListener<K extends keyof RunEvents>(
    type: K,
    listener: (event: RunEvents[K]) => void,
    options?: EventListenerOptions | boolean,
  ): void {
    this.events.removeEventListener(type, listener as EventListener, options);
  }

  /** For the trainer: what the worker tells. Whether that was the last of it. */
  receive(message: RunEvent): boolean {
    switch (message.type) {
      case 'step':
        this.tell('step', message.report);
        return false;
      case 'rate':
        this.question = message.question;
        this.tell('rate', { prompt: message.prompt, answers: message.answers });
        return false;
      case 'state': {
        this.state = message.state;
        this.tell('state', message.state);
        const hasEnded = ENDED.includes(message.state);
        // One that failed has been rejected before.
        if (hasEnded) this.ending.resolve(message.state === 'finished' ? 'finished' : 'stopped');
        return hasEnded;
      }
      case 'checkpoint':
        this.tell('checkpoint', { step: message.step, bytes: message.bytes });
        return false;
      case 'loop_failed':
        this.fail(fromWire(message.error));
        return false;
      default:
        return unreachable(message);
    }
  }

  /** For the trainer: nothing more will be told. */
  fail(error: LoraletError): void {
    this.ending.reject(error);
  }

  private tell<K extends keyof RunEvents>(type: K, detail: RunEvents[K]['detail']): void {
    this.events.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
