import { LoraletError } from '../errors.js';

/** Work that is done one at a time, first come first served. */
export class Turns {
  private turn: Promise<unknown> = Promise.resolve();
  /** What may still be cancelled because its turn has not come, by the ids of the requests. */
  private readonly waiting = new Map<number, (error: Error) => void>();

  /** Runs `work` when everything asked for before is done. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  /** The same; fails at once, and is never begun, where it is cancelled before its turn comes. */
  inTurnUnlessCancelled<T>(id: number, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.set(id, reject);
      this.inTurn(async () => {
        if (this.waiting.delete(id)) resolve(await work());
      }).catch(reject);
    });
  }

  /** Nothing happens to what has begun or is done. */
  cancel(id: number): void {
    this.waiting.get(id)?.(new LoraletError('stopped', 'this was stopped before it began'));
    this.waiting.delete(id);
  }
}

/** Unlike a timer, a message is not held back when many follow one another. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}
