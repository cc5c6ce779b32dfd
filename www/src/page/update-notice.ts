import { LitElement, css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { TrainState } from '../engine/index.js';
import { Watch } from '../ui/stores/store.js';
import { shared } from '../ui/styles.js';
import type { Workspace } from '../ui/workspace.js';
import type { KeptNetwork } from './offline.js';

/** During these a reload would cost steps. */
const AT_WORK: TrainState[] = ['running', 'pausing', 'stopping'];

/** Offers a newer version of the page, once no run is in progress. It reloads nothing by itself. */
@customElement('update-notice')
export class UpdateNotice extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        position: fixed;
        inset: auto 16px 16px auto;
        z-index: 6;
      }
      .offer {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 8px 12px;
        padding: 12px 16px;
        border: 1px solid var(--line-strong);
        border-radius: var(--radius);
        background: var(--card);
      }
      p {
        margin: 0;
      }
      /* The bar at the bottom stays free. */
      @media (max-width: 900px) {
        :host {
          inset: auto 12px calc(76px + env(safe-area-inset-bottom));
        }
        .offer {
          justify-content: space-between;
        }
      }
      @media print {
        :host {
          display: none;
        }
      }
    `,
  ];

  /** Given before it is put into a document. */
  @property({ attribute: false }) network!: KeptNetwork;
  @property({ attribute: false }) workspace!: Workspace;
  @state() private isPutOff = false;
  private watch: Watch | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.watch ??= new Watch(this, this.network, this.workspace.training);
  }

  override render() {
    const { network, workspace } = this;
    const isShown = network.isOutdated && !this.isPutOff && !AT_WORK.includes(workspace.training.state);
    return html`<div role="status">
      ${
        isShown
          ? html`<div class="offer" data-test="update">
              <p>A new version is there. Reload when you like.</p>
              <span>
                <button @click=${() => location.reload()}>Reload</button>
                <button class="plain" @click=${() => (this.isPutOff = true)}>Later</button>
              </span>
            </div>`
          : nothing
      }
    </div>`;
  }
}

/** Puts the notice into the page. */
export function offerUpdates(network: KeptNetwork, workspace: Workspace): void {
  const notice = document.createElement('update-notice');
  Object.assign(notice, { network, workspace });
  document.body.append(notice);
}

declare global {
  interface HTMLElementTagNameMap {
    'update-notice': UpdateNotice;
  }
}
