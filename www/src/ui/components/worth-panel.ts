import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import type { Way, WayWorth, Worth, WorthFigure } from '../../engine/index.js';
import type { Store } from '../stores/store.js';
import { Milestones } from '../words/milestones.js';
import { capital, count, loss, plural } from '../words/format.js';
import { sentence } from '../words/sentence.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** A table of what the base, the base with examples in its prompt, and the tuned model reach on held-out rows, and a sentence. */
@customElement('worth-panel')
export class WorthPanel extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .options label {
        display: block;
        margin-bottom: 4px;
        font-size: 0.84rem;
      }
      .options {
        display: grid;
        grid-template-columns: repeat(2, minmax(0, 12rem));
        gap: 12px;
        align-items: end;
        margin-bottom: 12px;
      }
      progress {
        margin-top: 12px;
      }
      .sentence {
        margin: 16px 0 12px;
        font-size: 1.02rem;
        font-weight: 600;
        line-height: 1.45;
        text-wrap: pretty;
      }
      table {
        width: 100%;
        border: 1px solid var(--line);
        border-radius: 8px;
        border-collapse: separate;
        border-spacing: 0;
        font-size: 0.88rem;
        font-variant-numeric: tabular-nums;
      }
      caption {
        padding-bottom: 6px;
        color: var(--muted);
        font-size: 0.86rem;
        text-align: left;
      }
      th,
      td {
        padding: 8px 10px;
        text-align: right;
      }
      th:first-child {
        text-align: left;
      }
      thead th {
        background: var(--sunken);
        color: var(--muted);
        font-weight: 600;
        vertical-align: bottom;
      }
      tbody th,
      tbody td {
        border-top: 1px solid var(--line);
      }
      .best {
        color: var(--good);
        font-weight: 700;
      }
      ul {
        margin: 10px 0 0;
        padding-left: 1.2em;
      }
      details {
        margin-top: 8px;
      }
      .asked {
        padding: 10px 0;
        border-top: 1px solid var(--line);
      }
      .asked p {
        margin: 0 0 4px;
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      dl {
        display: grid;
        grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr);
        gap: 2px 12px;
        margin: 0;
        font-size: 0.9rem;
      }
      dt {
        color: var(--muted);
      }
      dd {
        margin: 0;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      @media (max-width: 640px) {
        thead {
          position: absolute;
          width: 1px;
          height: 1px;
          overflow: hidden;
          clip-path: inset(50%);
        }
        table,
        caption,
        tbody,
        tr,
        tbody th,
        td {
          display: block;
        }
        table {
          border: 0;
        }
        tbody {
          border: 1px solid var(--line);
          border-radius: 8px;
        }
        tbody tr + tr {
          border-top: 1px solid var(--line);
        }
        tbody th,
        tbody td {
          border-top: 0;
        }
        tbody th {
          padding-bottom: 2px;
        }
        td {
          display: flex;
          justify-content: space-between;
          gap: 12px;
          padding: 3px 10px;
        }
        td:last-child {
          padding-bottom: 10px;
        }
        td::before {
          content: attr(data-label);
          color: var(--muted);
          font-weight: 400;
        }
        dl {
          grid-template-columns: minmax(0, 1fr);
        }
        dd + dt {
          margin-top: 4px;
        }
      }
    `,
  ];

  private readonly milestones = new Milestones();

  protected override watched({ worth, compare, training, model, data }: Workspace): Store[] {
    return [worth, compare, training, model, data];
  }

  override render() {
    const { compare, data, model, training, worth } = this.workspace;
    const ready =
      model.open !== null && data.open !== null && model.busy === null && !training.active && !compare.busy;
    return html`
      ${this.options()}
      <div class="row">
        <button
          class="primary"
          data-test="worth-measure"
          ?disabled=${!ready || worth.busy}
          @click=${() => worth.measure()}
        >
          Measure
        </button>
        <button data-test="worth-stop" ?disabled=${!worth.busy} @click=${() => worth.cancel()}>Stop</button>
        <span class="small muted" data-test="worth-status">${this.status()}</span>
      </div>
      ${
        worth.busy
          ? html`<progress
              aria-label="Answers measured"
              max=${worth.progress?.total ?? 1}
              .value=${worth.progress?.done ?? 0}
            ></progress>`
          : nothing
      }
      <p class="visually-hidden" role="status">${this.told()}</p>
      ${errorNotice(worth.error, 'worth-error')} ${worth.result ? this.result(worth.result) : nothing}
    `;
  }

  private options() {
    const { training, worth } = this.workspace;
    // What judges or compares whole texts is scored on all rows, and takes no examples.
    if (training.judges !== null || training.comparesTexts) return nothing;
    const field = (id: 'rows' | 'examples', label: string, least: number, most: number) =>
      html`<div>
        <label for=${id}>${label}</label>
        <input
          id=${id}
          type="number"
          min=${least}
          max=${most}
          .value=${String(worth[id])}
          ?disabled=${worth.busy}
          @change=${(event: Event) => {
            const input = event.target as HTMLInputElement;
            const typed = Math.round(Number(input.value));
            const value = Number.isFinite(typed) ? Math.min(Math.max(typed, least), most) : worth[id];
            input.value = String(value);
            worth.change({ [id]: value });
          }}
        />
      </div>`;
    return html`<div class="options">
      ${field('rows', 'Most rows to ask', 1, 1000)} ${field('examples', 'Examples in a prompt', 0, 32)}
    </div>`;
  }

  private status(): string {
    const { data, model, training, worth } = this.workspace;
    const { progress } = worth;
    if (worth.busy) return progress ? `Answer ${progress.done + 1} of ${progress.total} …` : 'Starting …';
    if (!model.open || !data.open) return 'Choose a model and data first.';
    if (training.active) return 'Pause or stop the run first: it changes the model that is measured.';
    if (worth.stopped) return 'Stopped before the first row was done.';
    return '';
  }

  /** As it is read out: not at every answer, and the sentence at the end. */
  private told(): string {
    const { worth } = this.workspace;
    const { progress, result } = worth;
    const share = progress ? progress.done / progress.total : 0;
    const text = result && !worth.busy ? result.sentence : this.status();
    return this.milestones.tell(worth.busy ? 'measuring' : text, share, text);
  }

  private result(worth: Worth) {
    const notes = worth.notes.map(sentence);
    if (worth.stopped) notes.unshift('Stopped: these are the rows that were asked in every way until then.');
    return html`
      <p class="sentence" data-test="worth-sentence">${worth.sentence}</p>
      ${this.table(worth)}
      ${
        notes.length > 0
          ? html`<ul class="small muted" data-test="worth-notes">
              ${notes.map((note) => html`<li>${note}</li>`)}
            </ul>`
          : nothing
      }
      ${worth.answers.length > 0 ? this.answers(worth) : nothing}
    `;
  }

  /** The roles are written out, since some browsers forget them where a table is laid out otherwise on a phone. */
  private table({ rows, held_out, ways }: Worth) {
    const figures = ways[0]?.figures ?? [];
    const columns = [...figures.map(({ name }) => capital(name)), 'Prompt tokens', 'Seconds an answer'];
    return html`<table role="table" data-test="worth-table">
      <caption>
        ${plural(rows, 'held-out row')}${rows < held_out ? ` of ${count(held_out)}` : ''}, none of which was
        trained
      </caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Model</th>
          ${columns.map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${ways.map((way) => this.row(way, ways, columns))}
      </tbody>
    </table>`;
  }

  private row(way: WayWorth, ways: WayWorth[], columns: string[]) {
    const cells = way.figures.map((figure, place) => {
      const others = ways.map(({ figures }) => figures[place]?.value ?? Number.NaN);
      const isBest = figure.value === best(figure, others) && others.some((value) => value !== figure.value);
      return { text: shown(figure), isBest };
    });
    cells.push(
      { text: count(way.prompt_tokens), isBest: false },
      { text: seconds(way.seconds), isBest: false },
    );
    return html`<tr role="row" data-test=${`worth-${way.way}`}>
      <th role="rowheader" scope="row">${this.name(way.way)}</th>
      ${cells.map(
        ({ text, isBest }, place) =>
          html`<td role="cell" class=${isBest ? 'best' : ''} data-label=${columns[place] ?? ''}>${text}</td>`,
      )}
    </tr>`;
  }

  private name(way: Way): string {
    const { result, step } = this.workspace.worth;
    switch (way) {
      case 'base':
        return 'Base as it is';
      case 'examples':
        return `Base with ${plural(result?.examples ?? 0, 'example')}`;
      case 'tuned':
        return step === null ? 'Tuned' : `Tuned, step ${step}`;
    }
  }

  private answers({ answers, ways }: Worth) {
    return html`<details data-test="worth-answers">
      <summary>Read the answers</summary>
      ${answers.map(
        ({ line, question, answer, given }) =>
          html`<div class="asked">
            <p>${question} <span class="muted small">line ${line}</span></p>
            <dl>
              ${
                answer === null
                  ? nothing
                  : html`<dt>The row’s own</dt>
                      <dd>${answer}</dd>`
              }
              ${ways.map(
                ({ way }, place) =>
                  html`<dt>${this.name(way)}</dt>
                    <dd>${given[place]?.trim() || '–'}</dd>`,
              )}
            </dl>
          </div>`,
      )}
    </details>`;
  }
}

function best({ better }: WorthFigure, values: number[]): number {
  return better === 'lower' ? Math.min(...values) : Math.max(...values);
}

function shown({ unit, value }: WorthFigure): string {
  return unit === 'share' ? `${Math.round(100 * value)} %` : loss(value);
}

function seconds(value: number): string {
  return value < 0.095 ? value.toFixed(3) : value < 9.95 ? value.toFixed(1) : count(value);
}
