import { css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { histogram } from '../charts/histogram.js';
import { FIXES } from '../words/curation.js';
import { count, plural } from '../words/format.js';
import type { Store } from '../stores/store.js';
import type { Change, DataReport as Report, Finding, Fix, Statement } from '../../engine/index.js';
import { sentence } from '../words/sentence.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** What was found in the data, in plain words. */
@customElement('data-report')
export class DataReport extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .grid {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(180px, 240px);
        gap: 24px;
      }
      @media (max-width: 700px) {
        .grid {
          grid-template-columns: minmax(0, 1fr);
        }
      }
      ul {
        margin: 8px 0 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 8px;
        padding: 2px 0;
      }
      li > :nth-child(2) {
        flex: 1 1 260px;
      }
      details {
        flex: 1 1 auto;
        min-width: 0;
      }
      details ul {
        max-height: 260px;
        margin: 4px 0 8px;
        overflow: auto;
      }
      details li {
        display: block;
        padding: 4px 0;
        border-top: 1px solid var(--line);
        overflow-wrap: anywhere;
        font-size: 0.86rem;
      }
      li button {
        flex: none;
        align-self: flex-start;
        height: auto;
        padding: 3px 10px;
        font-size: 0.84rem;
      }
      @media (max-width: 640px) {
        li {
          flex-wrap: wrap;
        }
        li > :nth-child(2) {
          flex: 1 1 calc(100% - 24px);
        }
      }
      .ok {
        color: var(--good);
      }
      .look {
        color: var(--warn);
      }
      svg {
        display: block;
        width: 100%;
        height: auto;
      }
      rect {
        fill: var(--accent);
      }
      text {
        fill: var(--muted);
        font: 11px var(--sans);
      }
      line {
        stroke: var(--line-strong);
      }
    `,
  ];
  @property({ attribute: false }) report!: Report;
  @property({ type: Boolean }) disabled = false;

  protected override watched({ recipe }: Workspace): Store[] {
    return [recipe];
  }

  override render() {
    const report = this.report;
    const share = report.tokens > 0 ? Math.round((100 * report.trained_tokens) / report.tokens) : 0;
    return html`<div class="grid" data-test="report">
      <div>
        <h3>What is in it</h3>
        <p>
          <b>${report.file}</b> holds ${plural(report.rows, 'row')} of <b>${report.shape_label}</b>:
          ${count(report.tokens)}
          tokens${
            report.classes.length > 0
              ? html`, in ${plural(report.classes.length, 'class', 'classes')}`
              : report.trained_tokens > 0
                ? html`, of which ${count(report.trained_tokens)} (${share} %) are learned`
                : report.shape === 'prompts'
                  ? html`, which the model answers itself`
                  : html`, in texts that are compared as wholes`
          }.
          A row has ${report.length_min} to ${report.length_max} tokens, mostly about ${report.length_median}.
        </p>
        ${report.classes.length > 0 ? html`<p data-test="classes">${classes(report)}</p>` : nothing}
        <ul>
          ${report.empty.count === 0 ? good('No empty rows') : nothing}
          ${report.duplicates.count === 0 ? good('No duplicates') : nothing}
          ${report.truncated.count === 0 ? good('No row is cut') : nothing}
          ${hasNoIdleRow(report) ? good('Every row has something to learn') : nothing}
          ${report.findings.map((found) => this.finding(found))}
          ${report.changes.map((change) => this.change(change))}
          ${report.account.map((statement) => this.statement(statement))}
        </ul>
      </div>
      <div>
        <h3>Row lengths</h3>
        ${histogram(report.length_histogram, 'tokens', 'rows')}
      </div>
    </div>`;
  }

  /** A sentence as the terminal says it; findings and changes are shown with their rows instead. */
  private statement({ about, sentence: said }: Statement) {
    if (about === 'finding' || about === 'change') return nothing;
    return html`<li data-test=${`said-${about}`}>
      <span class="look" aria-hidden="true">!</span><span>${sentence(said)}</span>
      ${about === 'duplicates' ? this.fixButton('drop_duplicates') : nothing}
    </li>`;
  }

  /** What was found, the rows on a click, and what mends it. */
  private finding(found: Finding) {
    const more = found.count - found.rows.length;
    return html`<li data-test=${`finding-${found.kind}`}>
      <span class="look" aria-hidden="true">!</span>
      <details>
        <summary>${sentence(found.sentence)}</summary>
        <ul>
          ${found.rows.map(
            ({ line, note, excerpt }) =>
              html`<li><span class="muted">Line ${line}, ${note}:</span> ${excerpt}</li>`,
          )}
          ${more > 0 ? html`<li class="muted">… and ${count(more)} more</li>` : nothing}
        </ul>
      </details>
      ${found.fix ? this.fixButton(found.fix) : nothing}
    </li>`;
  }

  private fixButton(fix: Fix) {
    const { recipe } = this.workspace;
    if (recipe.fixes.includes(fix)) return nothing;
    return html`<button
      data-test=${`fix-${fix}`}
      ?disabled=${this.disabled}
      @click=${() => recipe.addFix(fix)}
    >
      ${FIXES[fix]}
    </button>`;
  }

  private change({ fix, lines }: Change) {
    const did = fix === 'redact' ? 'changed' : 'left out';
    return html`<li data-test=${`change-${fix}`}>
      <span class="ok" aria-hidden="true">✓</span>
      <span
        >${FIXES[fix]}: ${plural(lines.length, 'row')}
        ${did}${
          lines.length > 0
            ? html` <span class="muted"
                >(line ${lines.slice(0, 5).join(', ')}${lines.length > 5 ? ' …' : ''})</span
              >`
            : nothing
        }</span
      >
      <button ?disabled=${this.disabled} @click=${() => this.workspace.recipe.removeFix(fix)}>Undo</button>
    </li>`;
  }
}

/** The largest classes, with their rows. */
function classes(report: Report): string {
  const shown = [...report.classes].sort((a, b) => b.rows - a.rows).slice(0, 12);
  const more = report.classes.length - shown.length;
  const names = shown.map(({ label, rows }) => `${label} (${count(rows)})`).join(', ');
  return `Labels: ${names}${more > 0 ? ` and ${count(more)} more` : ''}.`;
}

function hasNoIdleRow({ rows, examples, empty, fully_masked }: Report): boolean {
  return empty.count + fully_masked.count === 0 && examples >= rows;
}

function good(what: string) {
  return html`<li><span class="ok" aria-hidden="true">✓</span>${what}</li>`;
}
