import { LitElement, css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { Watch } from '../app/store.js';
import { model } from '../app/model.js';
import { training } from '../app/training.js';
import { shared } from './styles.js';

/** Offers the run of an earlier visit. */
@customElement('resume-banner')
export class ResumeBanner extends LitElement {
  static override styles = [
    shared,
    css`
      .banner {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 12px;
        margin-top: 20px;
        padding: 14px 18px;
        border: 1px solid var(--accent);
        border-radius: var(--radius);
        background: var(--accent-soft);
      }
      .text {
        flex: 1 1 320px;
      }
    `,
  ];

  constructor() {
    super();
    new Watch(this, training, model);
  }

  override render() {
    const run = training.saved;
    if (!run) return nothing;
    const finished = run.step >= run.totalSteps || run.reports.at(-1)?.finished === true;
    const when = new Date(run.savedAt).toLocaleString();
    return html`<div class="banner" role="region" aria-label="Earlier run">
      <div class="text">
        <b
          >${finished ? 'A finished run is kept here.' : `A run stopped at step ${run.step} of ${run.totalSteps}.`}</b
        >
        <div class="small">${run.modelLabel} with ${run.dataName}, ${when}</div>
        ${
          run.model.kind === 'local' && !model.open
            ? html`<div class="small">
                Open ${run.modelLabel} below first; local files cannot be opened again without you.
              </div>`
            : nothing
        }
      </div>
      <button
        class="primary"
        data-test="resume"
        ?disabled=${training.busy || model.busy !== null || (run.model.kind === 'local' && !model.open)}
        @click=${() => training.resumeSaved()}
      >
        ${finished ? 'Open it' : 'Resume'}
      </button>
      <button data-test="discard" ?disabled=${training.busy} @click=${() => training.discardSaved()}>
        Discard
      </button>
      ${training.error ? html`<p class="notice error" role="alert">${training.error}</p>` : nothing}
    </div>`;
  }
}
