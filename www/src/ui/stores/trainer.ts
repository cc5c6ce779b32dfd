/** The one trainer of a workspace: started at once, replaced when the device changes or it broke. */
import type { DeviceChoice, DeviceReport, Engine, LoraletError, Trainer } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { Store } from './store.js';

export class TrainerStore extends Store {
  device: DeviceReport | null = null;
  /** The device that was asked for. */
  choice: DeviceChoice = 'auto';
  error: Problem | null = null;
  /** How many trainers there have been. */
  starts = 0;
  /** Called when the trainer can do nothing more; whoever asked it for something has been told. */
  onBroken: (error: LoraletError) => void = () => undefined;
  private starting: Promise<Trainer> | null = null;
  private leaving: AbortController | null = null;

  constructor(private readonly engine: Engine) {
    super();
  }

  /** The running trainer; starts it if need be. */
  client(): Promise<Trainer> {
    return this.starting ?? this.start('auto');
  }

  /** The trainer before, also one that is still being started, ends with its workers. */
  async start(device: DeviceChoice): Promise<Trainer> {
    this.starts += 1;
    this.leaving?.abort();
    const mine = (this.leaving = new AbortController());
    this.device = null;
    this.choice = device;
    this.error = null;
    this.changed();
    const starting = this.engine.start({ device, signal: mine.signal });
    this.starting = starting;
    try {
      const client = await starting;
      if (this.starting === starting) this.device = client.device;
      void client.broken.then((error) => {
        if (this.starting === starting) this.onBroken(error);
      });
      return client;
    } catch (error) {
      if (this.starting === starting) {
        this.starting = null;
        this.error = problem(error);
      }
      throw error;
    } finally {
      this.changed();
    }
  }

  /** Ends it, with its workers. */
  end(): void {
    this.leaving?.abort();
    this.starting = null;
    this.device = null;
    this.changed();
  }

  say(error: Problem): void {
    this.error = error;
    this.changed();
  }
}
