import { LitElement, css, html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { count, percent } from '../words/format.js';
import { shared } from '../styles.js';
import type { ClassificationMetrics } from '../../engine/index.js';

/** More classes than this make a table nobody reads. */
const MOST_CLASSES = 12;

/** Which labels are taken for which, on the held-out rows. */
@customElement('confusion-matrix')
export class ConfusionMatrix extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        margin: 14px 0;
      }
      .scroll {
        overflow-x: auto;
      }
      table {
        border-collapse: separate;
        border-spacing: 2px;
        font-size: 0.86rem;
        font-variant-numeric: tabular-nums;
      }
      th {
        max-width: 12ch;
        padding: 4px 8px;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        font-weight: 600;
      }
      tbody th {
        text-align: right;
      }
      td.corner {
        background: none;
      }
      td:not(.corner) {
        min-width: 48px;
        padding: 6px 8px;
        border-radius: 6px;
        text-align: center;
        background: color-mix(in srgb, var(--tone) calc(var(--share) * 55%), var(--sunken));
      }
    `,
  ];
  @property({ attribute: false }) metrics!: ClassificationMetrics;

  override render() {
    const { labels, confusion, accuracy, majority_share: majority } = this.metrics;
    const summary = `On the held-out rows ${percent(accuracy)} are right; always guessing the most frequent label would be ${percent(majority)}.`;
    if (labels.length > MOST_CLASSES) return html`<p class="small muted">${summary}</p>`;
    return html`<p class="small muted" id="summary">
        ${summary} Each row is a true label, each column what the model says.
      </p>
      <div class="scroll" tabindex="0" role="region" aria-label="Labels of the held-out rows">
        <table data-test="confusion" aria-describedby="summary">
          <thead>
            <tr>
              <td class="corner"></td>
              ${labels.map((label) => html`<th scope="col" title=${label}>${label}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${labels.map(
              (label, row) =>
                html`<tr>
                  <th scope="row" title=${label}>${label}</th>
                  ${labels.map((_, column) => cell(confusion[row] ?? [], row, column))}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`;
  }
}

/** Darker where more of the row's texts are: green on the diagonal, red beside it. */
function cell(counts: number[], row: number, column: number) {
  const total = Math.max(
    1,
    counts.reduce((sum, texts) => sum + texts, 0),
  );
  const texts = counts[column] ?? 0;
  const tone = row === column ? 'var(--good)' : 'var(--bad)';
  return html`<td style=${`--tone: ${tone}; --share: ${(texts / total).toFixed(2)}`}>${count(texts)}</td>`;
}
