import { css, html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import '../charts/runs-chart.js';
import { runColor } from '../charts/theme.js';
import { count, loss, plural } from '../words/format.js';
import { differences, measured, setting } from '../words/run-differences.js';
import type { Store } from '../stores/store.js';
import type { RunRecord } from '../../engine/index.js';
import './sweep-panel.js';
import { saveFile } from './save-file.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

type Order = 'newest' | 'lowest';

/** The table of all kept runs, their curves one over the other, and the sweep that adds to them. */
@customElement('runs-section')
export class RunsSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .scroll {
        /* What is hidden for the eye only has to scroll with the table. */
        position: relative;
        overflow-x: auto;
        margin-top: 12px;
        border: 1px solid var(--line);
        border-radius: 8px;
      }
      table {
        width: 100%;
        border-collapse: collapse;
        font-size: 0.86rem;
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 7px 10px;
        text-align: left;
        white-space: nowrap;
      }
      thead th {
        background: var(--sunken);
        color: var(--muted);
        font-weight: 600;
      }
      tbody tr {
        border-top: 1px solid var(--line);
      }
      .best {
        color: var(--good);
        font-weight: 700;
      }
      .run {
        display: flex;
        align-items: center;
        gap: 8px;
        font-weight: 600;
      }
      .swatch {
        width: 12px;
        height: 12px;
        flex: none;
        border-radius: 3px;
      }
      .scroll + p {
        margin-top: 8px;
      }
      .order {
        margin: 16px 0 0;
      }
      .order select {
        width: auto;
      }
      td button {
        min-height: 30px;
        padding: 0 8px;
        font-size: 0.84rem;
      }
      ul {
        margin: 6px 0 0;
        padding: 0;
        list-style: none;
      }
    `,
  ];
  @state() private order: Order = 'newest';

  protected override watched({ runs, training }: Workspace): Store[] {
    return [runs, training];
  }

  override render() {
    const { runs } = this.workspace;
    return html`
      <sweep-panel></sweep-panel>
      ${runs.records.length > 0 ? this.all() : html`<p class="muted small" data-test="no-runs">Each run is listed here from its first step on.</p>`}
      ${runs.refused ? html`<p class="notice warn" data-test="runs-refused">These runs are gone when the tab is closed: ${runs.refused}.</p>` : nothing}
      ${this.unreadable()} ${errorNotice(runs.error, 'runs-error')}
      <div role="status">
        ${runs.said ? html`<p class="notice" data-test="runs-said">${runs.said}</p>` : nothing}
      </div>
    `;
  }

  private all() {
    const { runs } = this.workspace;
    const { records, shown } = runs;
    const numbered = records.map((run, place) => ({ run, place }));
    const inOrder = (): typeof numbered =>
      this.order === 'newest'
        ? [...numbered].reverse()
        : [...numbered].sort((a, b) => lowest(a.run) - lowest(b.run));
    const curves = numbered
      .filter(({ run }) => shown.has(run.id))
      .map(({ run, place }) => ({ name: `run ${place + 1}`, color: runColor(place), points: run.curve }));
    const settings = differences(records);
    const hasModels = new Set(records.map((run) => run.modelLabel)).size > 1;
    const hasData = new Set(records.map((run) => run.data.sha256)).size > 1;
    const hasMeasured = records.some((run) => measured(run.evaluation) !== null);
    const best = bestOf(records);
    return html`
      <div class="row order">
        <label for="order">Order</label>
        <select
          id="order"
          @change=${(event: Event) => (this.order = (event.target as HTMLSelectElement).value as Order)}
        >
          <option value="newest">Newest first</option>
          <option value="lowest">Lowest validation loss first</option>
        </select>
        <span class="small muted">The settings in the table are those in which the runs differ.</span>
      </div>
      <div class="scroll" tabindex="0" role="region" aria-label="Table of runs">
        <table data-test="runs">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Validation loss</th>
              ${settings.map((key) => html`<th scope="col" class="mono">${key}</th>`)}
              ${hasMeasured ? html`<th scope="col">Measured</th>` : nothing}
              <th scope="col">Training loss</th>
              <th scope="col">Steps</th>
              <th scope="col">Ended</th>
              ${hasModels ? html`<th scope="col">Model</th>` : nothing}
              ${hasData ? html`<th scope="col">Data</th>` : nothing}
              <th scope="col">Begun</th>
              <th scope="col"><span class="visually-hidden">Actions</span></th>
            </tr>
          </thead>
          <tbody>
            ${repeat(
              inOrder(),
              ({ run }) => run.id,
              ({ run, place }) =>
                html`<tr>
                  <td>${this.chooser(run, place, shown.has(run.id))}</td>
                  <td class=${best.has(run.id) ? 'best' : ''}>${lossOf(run.evaluation?.loss)}</td>
                  ${settings.map((key) => html`<td>${setting(run, key)}</td>`)}
                  ${hasMeasured ? html`<td>${measured(run.evaluation) ?? '–'}</td>` : nothing}
                  <td>${lossOf(run.curve.at(-1)?.loss)}</td>
                  <td>${count(run.curve.at(-1)?.step ?? 0)} of ${count(run.totalSteps)}</td>
                  <td title=${run.error ?? ''}>${ended(run)}</td>
                  ${hasModels ? html`<td>${run.modelLabel}</td>` : nothing}
                  ${hasData ? html`<td>${run.data.name}</td>` : nothing}
                  <td>${new Date(run.startedAt).toLocaleString()}</td>
                  <td>${this.actions(run, place)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <p class="small muted">
        Thick lines with points are validation losses, thin ones training losses, smoothed. Green is the
        lowest validation loss of its model, data and objective.
      </p>
      <runs-chart .curves=${curves}></runs-chart>
      ${records
        .filter((run) => run.error !== null && shown.has(run.id))
        .map((run) => html`<p class="notice warn">Run ${records.indexOf(run) + 1}: ${run.error}</p>`)}
    `;
  }

  private chooser(run: RunRecord, place: number, on: boolean) {
    const { runs } = this.workspace;
    return html`<label class="run">
      <input
        type="checkbox"
        .checked=${on}
        aria-label=${`Run ${place + 1} in the chart`}
        @change=${(event: Event) => runs.show(run.id, (event.target as HTMLInputElement).checked)}
      />
      <span class="swatch" style=${`background: ${runColor(place)}`}></span>${place + 1}
    </label>`;
  }

  private actions(run: RunRecord, place: number) {
    const { runs, training } = this.workspace;
    return html`<button
        aria-label=${`Repeat run ${place + 1}`}
        ?disabled=${training.active}
        @click=${() => runs.repeat(run)}
      >
        Repeat
      </button>
      <button
        aria-label=${`Delete run ${place + 1}`}
        ?disabled=${run.state === 'running'}
        @click=${() => runs.forget(run)}
      >
        Delete
      </button>`;
  }

  private async download(name: string): Promise<void> {
    saveFile(this, name, await this.workspace.runs.readFile(name));
  }

  /** What cannot be read stays until someone decides. */
  private unreadable() {
    const { runs } = this.workspace;
    if (runs.unreadable.length === 0) return nothing;
    return html`<div class="notice warn" data-test="unreadable-runs">
      ${plural(runs.unreadable.length, 'stored run')} cannot be read; nothing was deleted.
      <ul>
        ${runs.unreadable.map(
          (name) =>
            html`<li class="row">
              <code class="grow">${name}</code>
              <button @click=${() => this.download(name)}>Download</button>
              <button @click=${() => runs.forgetFile(name)}>Delete</button>
            </li>`,
        )}
      </ul>
    </div>`;
  }
}

/** The losses of all runs that can be compared: same model, data and objective. */
function bestOf(records: RunRecord[]): Set<string> {
  const best = new Map<string, RunRecord>();
  for (const run of records) {
    const { objective, eval: evaluation, train } = run.recipe;
    const alike = JSON.stringify([
      run.modelLabel,
      run.data.sha256,
      objective,
      evaluation?.validation_fraction,
      train?.seed,
      train?.max_seq_length,
    ]);
    const other = best.get(alike);
    if (run.evaluation && (!other || lowest(run) < lowest(other))) best.set(alike, run);
  }
  return new Set([...best.values()].map(({ id }) => id));
}

function lowest(run: RunRecord): number {
  return run.evaluation?.loss ?? Number.POSITIVE_INFINITY;
}

function lossOf(value: number | undefined): string {
  return value === undefined ? '–' : loss(value);
}

function ended(run: RunRecord): string {
  switch (run.state) {
    case 'running':
      return 'goes on';
    case 'finished':
      return 'finished';
    case 'failed':
      return 'failed';
    case 'outdone':
      return 'stopped early';
    case 'stopped':
      return 'stopped';
  }
}
