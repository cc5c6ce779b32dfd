/** Work that is done one at a time, first come first served. */
import { TrainerError } from '../errors.js';

let turn: Promise<unknown> = Promise.resolve();
/** What may still be cancelled because its turn has not come, by the ids of the requests. */
const waiting = new Map<number, (error: Error) => void>();

/** Runs `work` when everything asked for before is done. */
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work);
  turn = mine.catch(() => undefined);
  return mine;
}

/** The same; fails at once, and is never begun, where it is cancelled before its turn comes. */
export function inTurnUnlessCancelled<T>(id: number, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    waiting.set(id, reject);
    inTurn(async () => {
      if (waiting.delete(id)) resolve(await work());
    }).catch(reject);
  });
}

/** Nothing happens to what has begun or is done. */
export function cancelWaiting(id: number): void {
  waiting.get(id)?.(new TrainerError('stopped', 'this was stopped before it began'));
  waiting.delete(id);
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
