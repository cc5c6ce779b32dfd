import { css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { bytes, plural } from '../words/format.js';
import type { Store } from '../stores/store.js';
import type { CachedModel } from '../../engine/index.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** Downloads that this browser keeps. */
@customElement('stored-models')
export class StoredModels extends WorkspaceElement {
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

  protected override watched({ model }: Workspace): Store[] {
    return [model];
  }

  override render() {
    const { model } = this.workspace;
    const { stored, unreadableFolders, unkept, refused } = model;
    const note = unkept ?? (refused && `Models and runs are gone when the tab is closed: ${refused}.`);
    return html`
      ${note ? html`<p class="notice warn" role="status" data-test="unkept">${note}</p>` : nothing}
      ${
        stored.length > 0
          ? html`<h3>Stored in this browser</h3>
              <ul data-test="stored">
                ${stored.map((one) => this.item(one))}
              </ul>`
          : nothing
      }
      ${unreadableFolders.length > 0 ? this.unreadable() : nothing}
    `;
  }

  /** What cannot be read stays until someone decides. */
  private unreadable() {
    const { model } = this.workspace;
    return html`<div class="notice warn" data-test="unreadable-models">
      ${plural(model.unreadableFolders.length, 'stored model')} cannot be read; nothing was deleted.
      <ul>
        ${model.unreadableFolders.map(
          (name) =>
            html`<li>
              <code class="name">${name}</code>
              <button ?disabled=${this.disabled} @click=${() => model.forgetFolder(name)}>Delete</button>
            </li>`,
        )}
      </ul>
    </div>`;
  }

  private item(stored: CachedModel) {
    const { model } = this.workspace;
    const size = stored.files.reduce((sum, file) => sum + file.bytes, 0);
    const elsewhere = model.elsewhere.has(stored.key);
    const incomplete = elsewhere ? ', in use by another tab' : ', incomplete: download again to go on';
    return html`<li>
      <span class="name"
        >${stored.label}
        <span class="muted small"
          >${bytes(size)}${stored.complete && !elsewhere ? '' : incomplete}</span
        ></span
      >
      ${
        stored.complete
          ? html`<button
              ?disabled=${this.disabled || elsewhere}
              @click=${() => this.workspace.useModel(model.openStored(stored))}
            >
              Open
            </button>`
          : nothing
      }
      <button
        ?disabled=${this.disabled || elsewhere}
        aria-label=${`Delete ${stored.label} from this browser`}
        @click=${() => model.forget(stored)}
      >
        Delete
      </button>
    </li>`;
  }
}
