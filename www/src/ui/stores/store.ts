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

/** The sentence of any error, with a capital letter and a full stop. */
export function sentence(error: unknown): string {
  const text = (error instanceof Error ? error.message : String(error)).trim();
  // The name of a file or a repository at the start keeps its letters.
  const nameFirst = /^\S*(\.[a-z0-9]+\b|\/\S)/i.test(text);
  const start = nameFirst ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
