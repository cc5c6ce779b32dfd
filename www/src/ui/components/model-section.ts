import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { bytes, count, short } from '../words/format.js';
import type { Place } from '../stores/model.js';
import type { Store } from '../stores/store.js';
import { describe, type BundledModel } from '../../engine/index.js';
import './drop-zone.js';
import './model-hub.js';
import './stored-models.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';
import './transfer-line.js';

/** Four ways to a model: one that comes with the page, files, the Hub, storage. */
@customElement('model-section')
export class ModelSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .cards {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(250px, 1fr));
        gap: 12px;
      }
      .card {
        display: flex;
        flex-direction: column;
        align-items: flex-start;
        justify-content: flex-start;
        gap: 2px;
        height: auto;
        padding: 14px 16px;
        text-align: left;
        font-weight: 400;
        line-height: 1.45;
      }
      .card b {
        display: block;
        font-size: 1rem;
      }
      .card[aria-pressed='true'] {
        border-color: var(--accent);
        background: var(--accent-soft);
        box-shadow: inset 0 0 0 1px var(--accent);
      }
      .ways {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(280px, 1fr));
        gap: 20px 24px;
        margin-top: 20px;
      }
      .facts {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(160px, 1fr));
        gap: 10px 20px;
        margin: 18px 0 0;
        padding: 14px 16px;
        border-radius: 8px;
        background: var(--sunken);
      }
      .facts dt {
        color: var(--muted);
        font-size: 0.82rem;
      }
      .facts dd {
        margin: 0;
        font-weight: 600;
        overflow-wrap: anywhere;
      }
    `,
  ];

  protected override watched({ model, network, training }: Workspace): Store[] {
    return [model, network, training];
  }

  override render() {
    const { model, training } = this.workspace;
    const disabled = model.busy !== null || training.active;
    return html`
      <div class="cards">${model.bundled.map((bundled) => this.card(bundled, disabled))}</div>
      ${this.status('bundled')} ${this.facts()}
      <div class="ways">
        <div>
          <h3>From this computer</h3>
          <drop-zone
            data-test="model-files"
            folder
            text="Drop a .gguf, or a folder with config.json and .safetensors"
            accept=".gguf"
            ?disabled=${disabled}
            @files=${(event: CustomEvent<File[]>) => this.workspace.useModel(model.openLocal(event.detail))}
          ></drop-zone>
          ${this.status('local')}
        </div>
        <div>
          <h3>From Hugging Face</h3>
          <model-hub ?disabled=${disabled}></model-hub>
          ${this.status('hub')}
        </div>
      </div>
      <stored-models ?disabled=${disabled}></stored-models>
      ${this.status('stored')}
    `;
  }

  private card(bundled: BundledModel, disabled: boolean) {
    const { model } = this.workspace;
    const source = model.open?.source;
    const open = source?.kind === 'bundled' && source.name === bundled.name;
    return html`<button
      class="card"
      data-test=${`model-${bundled.name}`}
      aria-pressed=${open}
      ?disabled=${disabled}
      @click=${() => this.workspace.useModel(model.openBundled(bundled))}
    >
      <b>${bundled.label}</b>
      <span class="muted small">${describe(bundled.name)} ${bytes(bundled.bytes)}</span>
    </button>`;
  }

  private status(place: Place) {
    const { model } = this.workspace;
    const busy = model.busy?.place === place ? model.busy : null;
    const error = model.error?.place === place ? model.error.problem : null;
    return html`
      <transfer-line .busy=${busy}></transfer-line>
      ${errorNotice(error, 'model-error')}
    `;
  }

  private facts() {
    const { model } = this.workspace;
    const open = model.open;
    if (!open) return nothing;
    const { report } = open;
    return html`<dl class="facts" data-test="model-facts" aria-label="The open model">
      ${fact('Model', open.label)} ${fact('Parameters', short(report.parameters))}
      ${fact('Architecture', `${report.architecture}, ${report.num_hidden_layers} layers, width ${report.hidden_size}`)}
      ${fact('Vocabulary', `${count(report.vocab_size)} tokens`)} ${fact('Stored as', report.stored_as)}
      ${
        report.architecture === 'bert'
          ? fact('Kind', 'encoder: it compares or labels texts and writes none')
          : fact('Chat template', report.has_chat_template ? 'yes' : 'none: use plain text data')
      }
      ${report.notes.map((note) => fact('Note', note))}
    </dl>`;
  }
}

function fact(name: string, value: string) {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}
