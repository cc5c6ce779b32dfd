import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import type { Store } from '../stores/store.js';
import type { KeptRun } from '../../engine/index.js';
import { errorNotice } from './error-notice.js';
import { showSection } from './show-section.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** Offers the run of an earlier visit, or says which tab has it. Fires `show-section` once it is open. */
@customElement('resume-banner')
export class ResumeBanner extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .banner {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 12px;
        margin: var(--banner-margin, 20px 0 0);
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

  protected override watched({ training, model }: Workspace): Store[] {
    return [training, model];
  }

  override render() {
    const { training } = this.workspace;
    const { saved, unreadable, error } = training;
    return html`${saved ? this.offer(saved) : nothing} ${unreadable.map((key) => this.spoilt(key))}
    ${saved || unreadable.length > 0 ? errorNotice(error, 'resume-error') : nothing}`;
  }

  private offer(run: KeptRun) {
    const { model, training } = this.workspace;
    const finished = run.step >= run.totalSteps || run.reports.at(-1)?.finished === true;
    const when = new Date(run.savedAt).toLocaleString();
    const title = run.elsewhere
      ? 'Another tab has a run open.'
      : finished
        ? 'A finished run is kept here.'
        : `A run stopped at step ${run.step} of ${run.totalSteps}.`;
    const needsModel = run.model.kind === 'local' && !model.open;
    return html`<div class="banner" role="region" aria-label="Earlier run">
      <div class="text">
        <b>${title}</b>
        <div class="small">${run.modelLabel} with ${run.dataName}, ${when}</div>
        ${
          run.elsewhere
            ? html`<div class="small">Go on there, or close that tab to resume it here.</div>`
            : needsModel
              ? html`<div class="small">
                  Open ${run.modelLabel} first; local files cannot be opened again without you.
                </div>`
              : nothing
        }
      </div>
      ${
        run.elsewhere
          ? nothing
          : html`<button
                class="primary"
                data-test="resume"
                ?disabled=${training.busy || training.active || model.busy !== null || needsModel}
                @click=${this.resume}
              >
                ${finished ? 'Open it' : 'Resume'}
              </button>
              <button
                data-test="discard"
                ?disabled=${training.busy}
                @click=${() => training.discard(run.key)}
              >
                Discard
              </button>`
      }
    </div>`;
  }

  private async resume(): Promise<void> {
    const { training } = this.workspace;
    await training.resumeSaved();
    if (training.plan && !training.error) showSection(this, 'train');
  }

  /** What cannot be read stays until someone decides. */
  private spoilt(key: string) {
    const { training } = this.workspace;
    return html`<div class="banner" role="region" aria-label="A run that cannot be read">
      <div class="text">
        <b>A kept run cannot be read; nothing was deleted.</b>
        <div class="small">It lies in <code>run/${key}</code> of this page's storage.</div>
      </div>
      <button @click=${() => training.discard(key)}>Delete</button>
    </div>`;
  }
}
