import { ContextConsumer, createContext } from '@lit/context';
import { LitElement } from 'lit';
import type { Store } from './stores/store.js';
import type { Workspace } from './workspace.js';

/** The workspace that a component belongs to: the nearest one around it. */
export const workspaceContext = createContext<Workspace>(Symbol('workspace'));

/** A component of a workspace, drawn anew whenever a store that it watches has changed. */
export abstract class WorkspaceElement extends LitElement {
  private readonly consumer = new ContextConsumer(this, { context: workspaceContext });
  private unsubscribe: (() => void)[] = [];

  /** What the component shows. */
  protected abstract watched(workspace: Workspace): Store[];

  /** There as soon as the component is connected. */
  protected get workspace(): Workspace {
    const { value } = this.consumer;
    if (!value) throw new Error(`there is no workspace around ${this.localName}`);
    return value;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const stores = this.watched(this.workspace);
    this.unsubscribe = stores.map((store) => store.subscribe(() => this.requestUpdate()));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const unsubscribe of this.unsubscribe) unsubscribe();
  }
}
