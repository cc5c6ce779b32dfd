import { css, html } from 'lit';
import { customElement } from 'lit/decorators.js';
import type { Store } from '../ui/stores/store.js';
import { shared } from '../ui/styles.js';
import { WorkspaceElement } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';

/** Says whether anything can leave the tab, and why that can be believed. */
@customElement('privacy-line')
export class PrivacyLine extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      details {
        position: relative;
      }
      details > summary {
        list-style: none;
        display: inline-flex;
        align-items: center;
        gap: 7px;
        min-height: 36px;
        padding: 0 12px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--card);
        font-size: 0.86rem;
        white-space: nowrap;
      }
      summary::-webkit-details-marker {
        display: none;
      }
      .dot {
        width: 8px;
        height: 8px;
        border-radius: 50%;
        background: var(--warn);
      }
      .locked .dot {
        background: var(--good);
      }
      .panel {
        position: absolute;
        right: 0;
        z-index: 5;
        width: min(360px, calc(100vw - 32px));
        margin-top: 8px;
        padding: 16px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--card);
        box-shadow: var(--shadow);
        font-size: 0.9rem;
      }
      @media (max-width: 640px) {
        .panel {
          position: fixed;
          inset: 64px 12px auto;
          width: auto;
          margin: 0;
        }
      }
      @media (max-width: 400px) {
        .word {
          position: absolute;
          clip-path: inset(50%);
        }
      }
    `,
  ];

  protected override watched({ network }: Workspace): Store[] {
    return [network];
  }

  override render() {
    const { network } = this.workspace;
    const locked = network.state === 'locked';
    return html`<details class=${locked ? 'locked' : ''}>
      <summary>
        <span class="dot" aria-hidden="true"></span>
        <span><span class="word">Network</span> ${locked ? 'locked' : 'open'}</span>
      </summary>
      <div class="panel">
        <p>
          <b>Your data never leaves this tab.</b> Training happens in a worker that has had no network since
          it was started; the browser enforces it (<code>connect-src 'none'</code>).
        </p>
        ${
          locked
            ? html`<p>
                  A model is loaded, so this page has given up its own network too, and a trial request was
                  refused. Nothing on this page can undo that except a reload.
                </p>
                <button @click=${() => network.unlock()}>Reload to unlock</button>`
            : html`<p>
                The page itself can still fetch models for you. As soon as one is loaded it locks its own
                network in the same way.
              </p>`
        }
      </div>
    </details>`;
  }
}
