/**
 * The training loop, which the worker owns. A GPU does a few steps in a row, for a fraction of a second, so that it need not
 * wait for us after each.
 */
import type { GoOn, Rate, Session } from 'loralet-wasm/loralet.js';
import { wireError } from '../errors.js';
import type { FromWorker, LoopOptions, TrainState } from '../protocol.js';
import type { Message, StepReport } from '../types.js';
import { nextTask } from './turns.js';

/** How long the steps of one call may take together, in seconds, and how many they may be. */
const CALL_SECONDS = 0.25;
const MOST_STEPS = 16;

/** What the loop is part of. */
interface Around {
  send(message: FromWorker, transfer?: Transferable[]): void;
  onGpu(): boolean;
  /** Gives the work the session, when everything asked for before is done. */
  exclusive<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** A run that has been asked for: the id of the request, and whether a stop came meanwhile. */
export interface Asked {
  run: number;
  stopped: boolean;
}

/** A run as it is trained. */
interface Current {
  options: LoopOptions;
  singleSteps: number;
  lastCheckpoint: number;
  step: number;
  /** The last step's, in seconds. */
  stepSeconds: number;
  /** The step after which to pause. */
  until: number;
  /** The run ends while it waits for ratings. */
  abandoned: boolean;
}

export class Loop {
  private state: TrainState = 'idle';
  /** The id of the request that began the latest run. */
  private run = 0;
  private current: Current | null = null;
  /** A run that has been asked for and is not there yet; a stop meanwhile is meant for it. */
  private asked: Asked | null = null;
  /** What the step in progress waits for. */
  private rating: {
    question: number;
    resolve(ratings: number[]): void;
    reject(error: Error): void;
  } | null = null;
  private lastQuestion = 0;
  private wake: () => void = () => undefined;

  constructor(private readonly around: Around) {}

  /** A run is asked for, until `answered` is called. */
  ask(run: number): Asked {
    this.abandonRating();
    this.asked = { run, stopped: false };
    return this.asked;
  }

  answered(asked: Asked): void {
    if (this.asked === asked) this.asked = null;
  }

  /** Whom a run with these options asks for ratings, and whether to sample on. */
  listeners({ rated }: LoopOptions): [rate: Rate | undefined, goOn: GoOn] {
    const rate: Rate = (prompt, answers) => this.askPerson(prompt, answers);
    // Messages are read before each token.
    return [rated ? rate : undefined, () => nextTask().then(() => this.state !== 'stopping')];
  }

  /** The session has the run: the one before has ended. */
  start({ run, stopped }: Asked, options: LoopOptions): void {
    this.end('idle');
    this.run = run;
    const current = (this.current = {
      options,
      singleSteps: 0,
      lastCheckpoint: 0,
      step: 0,
      stepSeconds: Infinity,
      until: Infinity,
      abandoned: false,
    });
    this.setState(options.paused ? 'paused' : 'running');
    if (stopped) this.setState('stopping');
    void this.trains(current);
  }

  /** A call that failed leaves the loop as it was, so this comes after it. */
  end(final: TrainState): void {
    this.current = null;
    this.setState(final);
    this.wake();
  }

  pause(run: number): void {
    if (run === this.run && this.state === 'running') this.setState('pausing');
  }

  /** Goes on, and pauses once the step `until` is done. */
  resume(run: number, until: number): void {
    // Who stopped it wants no further step.
    if (run !== this.run || !this.current || this.state === 'stopping') return;
    this.current.until = until;
    this.setState('running');
    this.wake();
  }

  stepOnce(run: number): void {
    if (run !== this.run || !this.current) return;
    if (this.state !== 'paused' && this.state !== 'pausing') return;
    this.current.singleSteps += 1;
    this.wake();
  }

  stop(run: number): void {
    if (this.asked?.run === run) this.asked.stopped = true;
    if (run !== this.run || !this.current) return;
    this.setState('stopping');
    this.abandonRating();
    this.wake();
  }

  /** What the answers of a question are worth; nothing where it is not asked any more. */
  rate(question: number, ratings: number[]): void {
    if (this.rating?.question !== question) return;
    this.rating.resolve(ratings);
    this.rating = null;
  }

  /** Nobody rates the answers any more: the step that waits for it fails and leaves everything as it was. */
  abandonRating(): void {
    if (!this.rating) return;
    if (this.current) this.current.abandoned = true;
    this.rating.reject(new Error('the run was ended'));
    this.rating = null;
  }

  /** Optimizer steps until finished, stopped or replaced by another run. */
  private async trains(mine: Current): Promise<void> {
    try {
      while (this.current === mine) {
        // A macrotask: messages that came during the step are read before the next one.
        await nextTask();
        if (this.current !== mine) return;
        if (this.state === 'stopping') {
          await this.checkpoint(mine);
          this.endIfStill(mine, 'stopped');
          return;
        }
        if (this.state !== 'running' && mine.singleSteps === 0) {
          await this.checkpoint(mine);
          if (!this.isStill(mine)) return;
          if (this.state === 'pausing') this.setState('paused');
          if (this.state === 'paused' && mine.singleSteps === 0)
            await new Promise<void>((wake) => (this.wake = wake));
          continue;
        }
        const most = this.stepsAhead(mine);
        if (mine.singleSteps > 0) mine.singleSteps -= 1;
        const reports = await this.exclusively(mine, (session) => session.steps(most));
        if (!this.isStill(mine) || !reports) return;
        for (const report of reports) this.around.send({ type: 'step', run: this.run, report });
        const last = reports[reports.length - 1] as StepReport;
        mine.step = last.step;
        mine.stepSeconds = last.seconds;
        if (last.finished || last.step >= nextCheckpoint(mine)) await this.checkpoint(mine);
        if (last.finished) {
          this.endIfStill(mine, 'finished');
          return;
        }
        if (last.step >= mine.until && this.state === 'running') this.setState('pausing');
      }
    } catch (error) {
      if (!this.isStill(mine)) return;
      const failure = wireError(error);
      if (mine.abandoned || failure.kind === 'stopped') {
        await this.checkpoint(mine).catch(() => undefined);
        this.endIfStill(mine, 'stopped');
        return;
      }
      this.around.send({ type: 'loop_failed', run: this.run, error: failure });
      this.end('failed');
    }
  }

  /** How many steps to do before messages are read again: on the CPU one, which is over when its call returns. */
  private stepsAhead(mine: Current): number {
    if (!this.around.onGpu() || mine.singleSteps > 0) return 1;
    const inTime = Math.floor(CALL_SECONDS / mine.stepSeconds);
    const toStop = Math.min(mine.until, nextCheckpoint(mine)) - mine.step;
    return Math.max(1, Math.min(MOST_STEPS, inTime, toStop));
  }

  /** Asks the person at the page what sampled answers are worth. */
  private askPerson(prompt: Message[], answers: string[]): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const question = ++this.lastQuestion;
      this.rating = { question, resolve, reject };
      this.around.send({ type: 'rate', run: this.run, question, prompt, answers });
    });
  }

  private async checkpoint(mine: Current): Promise<void> {
    if (!mine.options.checkpointEvery || mine.step === mine.lastCheckpoint) return;
    const bytes = await this.exclusively(mine, (session) => session.save_checkpoint());
    if (!bytes) return;
    mine.lastCheckpoint = mine.step;
    this.around.send({ type: 'checkpoint', run: this.run, step: mine.step, bytes }, [bytes.buffer]);
  }

  /** For a run that something else may have taken the place of when its turn comes: then nothing is done. */
  private exclusively<T>(mine: Current, work: (session: Session) => Promise<T>): Promise<T | null> {
    return this.around.exclusive((session) =>
      this.current === mine ? work(session) : Promise.resolve(null),
    );
  }

  private isStill(mine: Current): boolean {
    return this.current === mine;
  }

  private endIfStill(mine: Current, final: TrainState): void {
    if (this.current === mine) this.end(final);
  }

  private setState(next: TrainState): void {
    if (this.state === next) return;
    this.state = next;
    this.around.send({ type: 'state', run: this.run, state: next });
  }
}

/** The step after which a checkpoint is due. */
function nextCheckpoint(mine: Current): number {
  const every = mine.options.checkpointEvery;
  return every ? mine.lastCheckpoint + every : Infinity;
}
