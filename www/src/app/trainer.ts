/** The one trainer of this page: started at once, restarted when the device changes or it crashed. */
import type { DeviceChoice, DeviceReport } from '../types.js';
import { TrainerClient } from '../worker/client.js';
import { Store, sentence } from './store.js';

class TrainerStore extends Store {
  device: DeviceReport | null = null;
  error: string | null = null;
  private starting: Promise<TrainerClient> | null = null;
  private current: TrainerClient | null = null;

  /** The running trainer; starts it if need be. */
  client(): Promise<TrainerClient> {
    return this.starting ?? this.start('auto');
  }

  async start(device: DeviceChoice): Promise<TrainerClient> {
    this.current?.terminate();
    this.current = null;
    this.device = null;
    this.error = null;
    this.changed();
    this.starting = TrainerClient.start({ device });
    try {
      this.current = await this.starting;
      this.device = this.current.device;
      return this.current;
    } catch (error) {
      this.starting = null;
      this.error = sentence(error);
      throw error;
    } finally {
      this.changed();
    }
  }
}

export const trainer = new TrainerStore();
