import { css, html } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import type { Store } from '../stores/store.js';
import type { Neighbour } from '../../engine/index.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** A query, and the nearest texts of the open data, by the base model and by the tuned one. */
@customElement('search-panel')
export class SearchPanel extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .chips {
        margin: 8px 0 12px;
      }
      .sides {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(260px, 1fr));
        gap: 14px;
        margin-top: 14px;
      }
      article {
        padding: 14px 16px;
        border: 1px solid var(--line);
        border-radius: 10px;
      }
      h3 {
        margin: 0 0 8px;
      }
      ol {
        margin: 0;
        padding-left: 1.4em;
      }
      li {
        margin-bottom: 6px;
      }
    `,
  ];
  @query('#query') private field!: HTMLInputElement;

  protected override watched({ search, training, model, data }: Workspace): Store[] {
    return [search, training, model, data];
  }

  override render() {
    const { data, model, search, training } = this.workspace;
    const ready = model.open !== null && data.open !== null && model.busy === null && !search.busy;
    return html`
      <label for="query">Query</label>
      <input
        id="query"
        ?disabled=${!ready}
        placeholder="Something to look for in the open data"
        @keydown=${this.key}
      />
      <div class="row chips">
        ${(data.open?.sample?.prompts ?? []).map(
          (prompt) => html`<button ?disabled=${!ready} @click=${() => this.ask(prompt)}>${prompt}</button>`,
        )}
      </div>
      <div class="row">
        <button class="primary" data-test="search" ?disabled=${!ready} @click=${() => this.ask()}>
          Search${training.hasAdapter ? ' with both' : ''}
        </button>
        <span class="small muted" role="status">${search.busy ? 'Reading the texts …' : ''}</span>
      </div>
      ${errorNotice(search.error, 'search-error')}
      <div class="sides">
        ${side('base', 'Base model', search.base, 'Its nearest texts appear here.')}
        ${side(
          'tuned',
          search.tuned && search.step ? `Tuned, step ${search.step}` : 'Tuned',
          search.tuned,
          training.hasAdapter ? 'Its nearest texts appear here.' : 'Train some steps first.',
        )}
      </div>
    `;
  }

  private key(event: KeyboardEvent): void {
    if (event.key === 'Enter') this.ask();
  }

  private ask(text?: string): void {
    const { search } = this.workspace;
    if (text !== undefined) this.field.value = text;
    if (this.field.value.trim()) void search.ask(this.field.value);
    else this.field.focus();
  }
}

function side(name: string, title: string, found: Neighbour[] | null, empty: string) {
  return html`<article>
    <h3>${title}</h3>
    ${
      found
        ? html`<ol data-test=${`found-${name}`}>
            ${found.map(
              ({ text, cosine, line }) =>
                html`<li>
                  ${text} <span class="muted small">line ${line}, cosine ${cosine.toFixed(2)}</span>
                </li>`,
            )}
          </ol>`
        : html`<p class="muted">${empty}</p>`
    }
  </article>`;
}
