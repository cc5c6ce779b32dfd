import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { MORE_FIELDS } from '../words/settings.js';
import type { DataReport } from '../../engine/index.js';
import type { OpenModel } from '../stores/model.js';
import type { Sample } from '../stores/samples.js';
import type { Store } from '../stores/store.js';
import './data-preview.js';
import './data-report.js';
import './drop-zone.js';
import './setting-field.js';
import { errorNotice } from './error-notice.js';
import { showSection } from './show-section.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** A file or a sample, then what was understood of it. Fires `show-section` where a model is to be chosen first. */
@customElement('data-section')
export class DataSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .samples {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(230px, 1fr));
        gap: 8px;
        margin: 6px 0 4px;
      }
      .sample {
        display: flex;
        flex-direction: column;
        align-items: flex-start;
        justify-content: flex-start;
        gap: 2px;
        height: auto;
        padding: 9px 12px;
        text-align: left;
        font-weight: 400;
        line-height: 1.4;
      }
      .sample b {
        display: block;
      }
      .sample[aria-pressed='true'] {
        border-color: var(--accent);
        background: var(--accent-soft);
        box-shadow: inset 0 0 0 1px var(--accent);
      }
      .next {
        margin-top: 10px;
      }
      details {
        margin-top: 12px;
      }
      data-report,
      data-preview,
      .objective {
        margin-top: 18px;
      }
      .objective {
        max-width: 420px;
      }
    `,
  ];

  protected override watched({ data, model, training, recipe }: Workspace): Store[] {
    return [data, model, training, recipe];
  }

  override render() {
    const { data, model, recipe, training } = this.workspace;
    const disabled = data.busy || training.active || model.busy !== null;
    return html`
      <drop-zone
        data-test="data-file"
        text="Drop your own .jsonl, .json, .csv, .tsv, .parquet, .txt or .md"
        accept=".jsonl,.json,.csv,.tsv,.parquet,.txt,.md"
        ?disabled=${disabled}
        @files=${this.dropped}
      ></drop-zone>
      <div aria-live="polite">${data.busy ? html`<p class="notice">Reading …</p>` : nothing}</div>
      ${errorNotice(data.error, 'data-error')}
      ${
        data.waiting
          ? html`<div class="row next">
              <button class="primary" data-test="to-model" @click=${() => showSection(this, 'model')}>
                Choose a model
              </button>
            </div>`
          : nothing
      }
      ${this.samples(disabled)}
      ${
        data.open
          ? html`<data-report .report=${data.open.summary.report} ?disabled=${disabled}></data-report>
              ${this.objective(data.open.summary.report, disabled)}
              <data-preview
                .rows=${data.open.summary.preview}
                shape=${data.open.summary.report.shape}
                ?asked=${recipe.loaded && recipe.value.objective === 'grpo'}
              ></data-preview>`
          : nothing
      }
    `;
  }

  /** Open until there is data; then what was understood of it comes first. */
  private samples(disabled: boolean) {
    const { data, model } = this.workspace;
    const suitable = data.sampleList.filter((sample) => suits(model.open, sample));
    if (suitable.length === 0) return nothing;
    const open = data.open?.sample;
    return html`<details data-test="samples" ?open=${data.open === null}>
      <summary>${open ? `Samples: ${open.label} is open` : 'Or begin with a sample'}</summary>
      <div class="samples">${suitable.map((sample) => this.sample(sample, disabled))}</div>
    </details>`;
  }

  private sample(sample: Sample, disabled: boolean) {
    const { data } = this.workspace;
    return html`<button
      class="sample"
      data-test=${`sample-${sample.file}`}
      aria-pressed=${(data.waiting ?? data.open)?.sample?.file === sample.file}
      ?disabled=${disabled}
      @click=${() => this.workspace.useData(data.openSample(sample))}
    >
      <b>${sample.label}</b>
      <span class="muted small">${sample.description}</span>
    </button>`;
  }

  /** Shown where the rows leave a choice. */
  private objective(report: DataReport, disabled: boolean) {
    const field = MORE_FIELDS.find((field) => field.path === 'objective');
    if (!field || report.objectives.length < 2) return nothing;
    const options = field.options?.filter((option) =>
      report.objectives.some((objective) => objective === option.value),
    );
    return html`<setting-field
      class="objective"
      data-test="objective"
      .field=${{ ...field, label: 'What to learn', help: 'Rows of this shape leave a choice.', options }}
      ?disabled=${disabled}
    ></setting-field>`;
  }

  private dropped(event: CustomEvent<File[]>): void {
    const { data } = this.workspace;
    const file = event.detail[0];
    if (file) void this.workspace.useData(data.openFile(file));
  }
}

/** The tiny model knows a small world only; samples for others would mean nothing to it, and the other way round. */
function suits(open: OpenModel | null, sample: Sample): boolean {
  if (!open) return true;
  const { source, report } = open;
  if (report.architecture === 'bert') return sample.models.includes('encoder');
  const isTiny = source.kind === 'bundled' && source.name === 'tiny';
  return sample.models.includes(isTiny ? 'tiny' : 'any');
}
