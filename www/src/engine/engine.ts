import { Trainer } from './trainer.js';
import type { DeviceChoice } from './types.js';
import { BrowserWorkers, type Workers } from './workers.js';

/** Starts trainers, each in a worker of its own; what they run is loaded and compiled once. */
export class Engine {
  constructor(private readonly workers: Workers = new BrowserWorkers()) {}

  /**
   * A trainer on the device, or on the best one there is. The signal ends it, now or later.
   *
   * Rejects where the device cannot be had, or the browser starts no worker.
   */
  start(options: { device?: DeviceChoice; signal?: AbortSignal } = {}): Promise<Trainer> {
    return Trainer.start(this.workers, options);
  }
}
