import { Store } from './store.js';

/** What becomes of the network once a model is there. */
export abstract class NetworkPolicy extends Store {
  state: 'open' | 'locked' = 'open';

  /** A model is open. */
  abstract lock(): Promise<void>;

  /** A person wants the network back; `then` names the bundled model to load first. */
  abstract unlock(then?: string): void;
}

/** For a page that is not ours to lock. The trainer itself never has a network. */
export class OpenNetwork extends NetworkPolicy {
  override lock(): Promise<void> {
    return Promise.resolve();
  }

  override unlock(): void {
    // It is open.
  }
}
