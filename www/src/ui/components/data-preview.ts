import { LitElement, css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { plural } from '../words/format.js';
import type { DataShape, PreviewPiece, PreviewRow } from '../../engine/index.js';
import { shared } from '../styles.js';

/** Rows that are shown at once. */
const SHOWN = 3;

/** The first rows as the model sees them: what it learns to write is highlighted. */
@customElement('data-preview')
export class DataPreview extends LitElement {
  static override styles = [
    shared,
    css`
      .key {
        display: inline-block;
        padding: 0 5px;
        border-radius: 4px;
        background: var(--mark);
        color: var(--mark-ink);
      }
      figure {
        margin: 10px 0 0;
      }
      figcaption {
        margin-bottom: 4px;
        color: var(--muted);
        font-size: 0.84rem;
      }
      pre {
        max-height: 220px;
        margin: 0;
        padding: 12px 14px;
        overflow: auto;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--sunken);
        line-height: 1.6;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      mark {
        border-radius: 3px;
        background: var(--mark);
        color: var(--mark-ink);
      }
      .context {
        color: var(--muted);
      }
    `,
  ];
  @property({ attribute: false }) rows: PreviewRow[] = [];
  @property() shape: DataShape | null = null;
  /** The model writes the answers itself. */
  @property({ type: Boolean }) asked = false;

  override render() {
    const labelled = this.rows.some((row) => row.label !== null);
    const compared = this.shape === 'text_pairs' || this.shape === 'scored_pairs';
    return html`<h3>The first rows, as the model sees them</h3>
      <p class="small muted">
        ${
          this.asked
            ? html`It answers each prompt several times, and learns from what its answers earn.`
            : compared
              ? html`It learns to bring texts that belong together near each other, and others apart.`
              : labelled
                ? html`It reads the text and learns to find its <span class="key">label</span>.`
                : html`It learns to write what is <span class="key">highlighted</span>; the rest is only read.`
        }
      </p>
      <div data-test="preview">${this.rows.slice(0, SHOWN).map((row) => this.row(row))}</div>
      ${
        this.rows.length > SHOWN
          ? html`<details>
              <summary>More rows</summary>
              ${this.rows.slice(SHOWN).map((row) => this.row(row))}
            </details>`
          : nothing
      }`;
  }

  private row(row: PreviewRow) {
    return html`<figure>
      <figcaption>
        Line ${row.line}${row.verdict ? `, ${row.verdict}` : nothing}:
        ${plural(row.tokens, 'token')}${
          row.label === null && !this.asked ? `, ${row.trained_tokens} learned` : nothing
        }${row.truncated ? ', cut' : nothing}${
          row.label === null ? nothing : html` <span class="key" data-test="label">${row.label}</span>`
        }
      </figcaption>
      <pre tabindex="0">${row.pieces.map(piece)}</pre>
    </figure>`;
  }
}

function piece({ text, trained }: PreviewPiece) {
  return trained ? html`<mark>${text}</mark>` : html`<span class="context">${text}</span>`;
}
