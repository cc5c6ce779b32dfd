import { LitElement, css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { useModel } from '../app/app.js';
import { bytes } from '../app/format.js';
import { model } from '../app/model.js';
import { Watch } from '../app/store.js';
import type { CachedModel } from '../storage/opfs.js';
import { shared } from './styles.js';

/** Downloads that this browser keeps. */
@customElement('stored-models')
export class StoredModels extends LitElement {
  static override styles = [
    shared,
    css`
      h3 {
        margin-top: 20px;
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 8px;
        padding: 8px 0;
        border-top: 1px solid var(--line);
      }
      .name {
        flex: 1 1 220px;
        overflow-wrap: anywhere;
      }
    `,
  ];
  @property({ type: Boolean }) disabled = false;

  constructor() {
    super();
    new Watch(this, model);
  }

  override render() {
    if (model.stored.length === 0) return nothing;
    return html`<h3>Stored in this browser</h3>
      <ul data-test="stored">
        ${model.stored.map((stored) => this.item(stored))}
      </ul>`;
  }

  private item(stored: CachedModel) {
    const size = stored.files.reduce((sum, file) => sum + file.bytes, 0);
    return html`<li>
      <span class="name"
        >${stored.label}
        <span class="muted small"
          >${bytes(size)}${stored.complete ? '' : ', incomplete: download again to go on'}</span
        ></span
      >
      ${
        stored.complete
          ? html`<button ?disabled=${this.disabled} @click=${() => useModel(model.openStored(stored))}>
              Open
            </button>`
          : nothing
      }
      <button
        ?disabled=${this.disabled}
        aria-label=${`Delete ${stored.label} from this browser`}
        @click=${() => model.forget(stored)}
      >
        Delete
      </button>
    </li>`;
  }
}
