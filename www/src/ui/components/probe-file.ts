import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { plural } from '../words/format.js';
import type { Store } from '../stores/store.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** A file of the user's to measure forgetting by. */
@customElement('probe-file')
export class ProbeFile extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      h3 {
        margin: 18px 0 4px;
        font-size: 0.9rem;
      }
      p {
        margin: 0 0 8px;
      }
    `,
  ];

  protected override watched({ probe, model, training }: Workspace): Store[] {
    return [probe, model, training];
  }

  override render() {
    const { model, probe, training } = this.workspace;
    const disabled = model.open === null || training.active;
    return html`
      <h3>Measure forgetting by a file of yours</h3>
      <p class="small muted" data-test="probe-summary">${this.summary()}</p>
      <div class="row">
        <button ?disabled=${disabled} @click=${() => this.input.click()}>Choose a file</button>
        ${
          probe.open
            ? html`<button data-test="probe-close" ?disabled=${disabled} @click=${() => probe.close()}>
                Use the built-in text again
              </button>`
            : nothing
        }
      </div>
      <input
        hidden
        type="file"
        name="probe"
        aria-label="A file to measure forgetting by"
        accept=".jsonl,.json,.csv,.tsv,.parquet,.txt,.md"
        @change=${this.chosen}
      />
      ${errorNotice(probe.error, 'probe-error')}
    `;
  }

  private summary() {
    const { probe } = this.workspace;
    if (!probe.open)
      return 'Texts, or questions with answers, that the model should go on knowing. Without one, built-in text is used.';
    const { name, summary } = probe.open;
    return html`<b>${name}</b>: ${plural(summary.examples, 'text or answer', 'texts or answers')},
      ${plural(summary.tokens, 'token')}. Used from the next run on.`;
  }

  private get input(): HTMLInputElement {
    return this.renderRoot.querySelector('input[name=probe]') as HTMLInputElement;
  }

  private async chosen(): Promise<void> {
    const { probe } = this.workspace;
    const file = this.input.files?.[0];
    if (file) await probe.openFile(file);
    this.input.value = '';
  }
}
