import { css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { bytes } from '../words/format.js';
import type { Store } from '../stores/store.js';
import { DEFAULT_ENDPOINT, downloadJob, type HubAddress, type WeightsChoice } from '../../engine/index.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** A repository on the Hugging Face Hub, or on a server laid out like it. */
@customElement('model-hub')
export class ModelHub extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .field {
        margin-bottom: 8px;
      }
      .pair {
        display: grid;
        grid-template-columns: 2fr 1fr;
        gap: 8px;
      }
    `,
  ];
  @property({ type: Boolean }) disabled = false;
  @state() private choices: WeightsChoice[] = [];
  private address: HubAddress = { endpoint: DEFAULT_ENDPOINT, repo: '', revision: 'main' };

  protected override watched({ network }: Workspace): Store[] {
    return [network];
  }

  override render() {
    const { network } = this.workspace;
    if (network.state === 'locked') {
      return html`<p class="muted small">The network is locked while a model is open.</p>
        <button @click=${() => network.unlock()}>Reload to unlock</button>`;
    }
    return html`
      <div class="field">
        <label for="repo">Repository id</label>
        <input
          id="repo"
          name="repo"
          placeholder="owner/name"
          spellcheck="false"
          autocapitalize="off"
          ?disabled=${this.disabled}
          @input=${this.changed}
          @keydown=${(event: KeyboardEvent) => event.key === 'Enter' && this.look()}
        />
      </div>
      <details>
        <summary>Endpoint and revision</summary>
        <div class="pair">
          <div class="field">
            <label for="endpoint">Endpoint</label>
            <input id="endpoint" name="endpoint" .value=${this.address.endpoint} @input=${this.changed} />
          </div>
          <div class="field">
            <label for="revision">Revision</label>
            <input id="revision" name="revision" .value=${this.address.revision} @input=${this.changed} />
          </div>
        </div>
      </details>
      ${this.choices.length > 1 ? this.choice() : nothing}
      <button data-test="hub-download" ?disabled=${this.disabled} @click=${this.look}>Download</button>
    `;
  }

  private choice() {
    return html`<div class="field">
      <label for="weights">Which weights</label>
      <select id="weights">
        ${this.choices.map((choice) => html`<option value=${choice.weights}>${choice.label} (${bytes(choice.bytes)})</option>`)}
      </select>
    </div>`;
  }

  private changed(event: Event): void {
    const input = event.target as HTMLInputElement;
    this.address = { ...this.address, [input.name]: input.value.trim() };
    this.choices = [];
  }

  /** Lists the repository first; downloads at once where there is only one thing to take. */
  private async look(): Promise<void> {
    const { model } = this.workspace;
    const selected = this.renderRoot.querySelector<HTMLSelectElement>('#weights')?.value;
    if (this.choices.length === 0) {
      this.choices = (await model.lookHub(this.address)) ?? [];
      if (this.choices.length > 1) return;
    }
    const choice = this.choices.find((candidate) => candidate.weights === selected) ?? this.choices[0];
    if (choice) await this.workspace.useModel(model.openHub(downloadJob(this.address, choice)));
  }
}
