/** State that components watch: a store says when it changed, a `Watch` redraws its component then. */
import type { ReactiveController, ReactiveControllerHost } from 'lit';

export class Store {
  private readonly listeners = new Set<() => void>();

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  protected changed(): void {
    for (const listener of this.listeners) listener();
  }
}

export class Watch implements ReactiveController {
  private readonly stores: Store[];
  private unsubscribe: (() => void)[] = [];

  constructor(
    private readonly host: ReactiveControllerHost,
    ...stores: Store[]
  ) {
    this.stores = stores;
    host.addController(this);
  }

  hostConnected(): void {
    this.unsubscribe = this.stores.map((store) => store.subscribe(() => this.host.requestUpdate()));
  }

  hostDisconnected(): void {
    for (const unsubscribe of this.unsubscribe) unsubscribe();
  }
}
