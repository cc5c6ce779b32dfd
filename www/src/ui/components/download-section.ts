import { css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Plan } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import type { Store } from '../stores/store.js';
import { shared } from '../styles.js';
import { LLAMA_CPP, MERGED, MLX, OLLAMA } from '../words/destinations.js';
import { bytes } from '../words/format.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';
import { errorNotice } from './error-notice.js';
import { cardStyles, type Known } from './export-card.js';
import './graduate-download.js';
import { saveFile } from './save-file.js';

/** Formats whose files are listed before anything is written, in the order in which they are looked at. */
const LISTED = [
  { format: 'peft', dtype: null },
  { format: 'merged-gguf', dtype: 'q8_0' },
  { format: 'gguf-lora', dtype: 'f16' },
  { format: 'mlx', dtype: null },
  { format: 'merged', dtype: 'f16' },
] as const;

/** What was trained, by where it is to be used. */
@customElement('download-section')
export class DownloadSection extends WorkspaceElement {
  static override styles = [
    shared,
    cardStyles,
    css`
      :host {
        container-type: inline-size;
      }
      export-card,
      .card {
        margin-bottom: 12px;
      }
      .said {
        margin-bottom: 10px;
      }
      .files li {
        display: flex;
        justify-content: space-between;
        gap: 12px;
        padding: 3px 0;
        border-bottom: 1px solid var(--line);
        overflow-wrap: anywhere;
      }
      .files {
        gap: 0;
        margin-top: 8px;
      }
      pre {
        margin: 0;
        padding: 12px 14px;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--sunken);
        line-height: 1.6;
      }
    `,
  ];
  /** Nothing is looked up before it is looked at. */
  @property({ attribute: false }) shown = true;
  @state() private known: Known = {};
  @state() private error: Problem | null = null;
  @state() private busy = false;
  /** What `known` is of. */
  private looked: { plan: Plan | null; step: number } = { plan: null, step: 0 };

  protected override watched({ training, model }: Workspace): Store[] {
    return [training, model];
  }

  override render() {
    const { training } = this.workspace;
    const ready = this.isReady;
    const said = training.hasAdapter
      ? 'Pause or finish the run to export.'
      : 'There is no adapter yet: train some steps first.';
    const known = training.hasAdapter ? this.known : {};
    return html`
      <p class="said small muted" role="status">
        ${ready ? 'Sizes are those of the files as they will be written, on this computer.' : said}
      </p>
      <export-card .destination=${OLLAMA} .known=${known} ?ready=${ready}></export-card>
      <export-card .destination=${LLAMA_CPP} .known=${known} ?ready=${ready}></export-card>
      ${this.python(ready, known)}
      <export-card .destination=${MLX} .known=${known} ?ready=${ready}></export-card>
      <export-card .destination=${MERGED} .known=${known} ?ready=${ready}></export-card>
      ${
        ready && !this.workspace.model.isEncoder && !training.judges
          ? html`<graduate-download></graduate-download>`
          : nothing
      }
    `;
  }

  protected override updated(): void {
    const { training } = this.workspace;
    const step = training.last?.step ?? 0;
    const isLooked = this.looked.plan === training.plan && this.looked.step === step;
    if (this.isReady && this.shown && !isLooked) void this.look(training.plan, step);
  }

  private get isReady(): boolean {
    const { training } = this.workspace;
    return training.hasAdapter && ['paused', 'stopped', 'finished'].includes(training.state);
  }

  private python(ready: boolean, known: Known) {
    const { model, training } = this.workspace;
    const library =
      model.isEncoder && !training.judges ? 'sentence-transformers' : this.whole ? 'transformers' : 'PEFT';
    const { peft } = known;
    const files = peft && 'files' in peft ? peft.files : [];
    return html`<article class="card" aria-label="Python">
      <div>
        <h3>Python (${library})</h3>
        <p class="small muted">
          A zip with
          ${this.whole ? "the model's weights and configuration" : "the adapter's weights and configuration"},
          the tokenizer with its chat template, and a README that says how it was made.
        </p>
        ${
          files.length > 0
            ? html`<ul class="files small" data-test="files">
                ${files.map(
                  (file) =>
                    html`<li>
                      <code>${file.name}</code><span class="muted small">${bytes(file.bytes)}</span>
                    </li>`,
                )}
              </ul>`
            : nothing
        }
        ${peft && 'text' in peft ? html`<p class="muted small">${peft.text}</p>` : nothing}
      </div>
      <div class="get">
        <div class="row">
          <button
            class="primary"
            data-test="download"
            ?disabled=${!ready || this.busy}
            @click=${this.download}
          >
            ${this.busy ? 'Packing …' : `Download ${this.whole ? 'model' : 'adapter'} (.zip)`}
          </button>
        </div>
        <pre tabindex="0" role="region" aria-label="In Python"><code>${this.snippet()}</code></pre>
        ${errorNotice(this.error, 'download-error')}
      </div>
    </article>`;
  }

  /** Whether the method trained the model itself instead of an adapter. */
  private get whole(): boolean {
    const { training } = this.workspace;
    return (training.plan?.recipe.method ?? 'lora') !== 'lora';
  }

  private snippet(): string {
    const { model, training } = this.workspace;
    const base = model.open?.base ?? 'path/to/the/base/model';
    const auto = training.judges ? 'AutoModelForSequenceClassification' : 'AutoModelForCausalLM';
    if (model.isEncoder && training.judges) {
      return [
        ...(this.whole ? [] : ['from peft import PeftModel']),
        'from safetensors.torch import load_file; from transformers import AutoModel',
        ...(this.whole
          ? ['model = AutoModel.from_pretrained("model")  # the unpacked zip']
          : [
              `model = PeftModel.from_pretrained(AutoModel.from_pretrained("${base}"), "adapter")  # the unpacked zip`,
            ]),
        `head = load_file("${this.whole ? 'model/model' : 'adapter/score'}.safetensors")["score.weight"]`,
        '# README.md says how to put the head on the mean of the tokens',
      ].join('\n');
    }
    if (model.isEncoder) {
      return [
        'from sentence_transformers import SentenceTransformer',
        ...(this.whole
          ? ['model = SentenceTransformer("model")  # the unpacked zip']
          : [`model = SentenceTransformer("${base}")`, 'model.load_adapter("adapter")  # the unpacked zip']),
      ].join('\n');
    }
    if (this.whole) {
      return [
        `from transformers import ${auto}`,
        `model = ${auto}.from_pretrained("model")  # the unpacked zip`,
      ].join('\n');
    }
    if (training.judges) {
      return [
        `from peft import PeftModel; from transformers import AutoConfig, ${auto}`,
        'config = AutoConfig.from_pretrained("adapter")  # it has the labels',
        `base = ${auto}.from_pretrained("${base}", config=config)`,
        'model = PeftModel.from_pretrained(base, "adapter")  # the unpacked zip',
      ].join('\n');
    }
    return [
      `from peft import PeftModel; from transformers import ${auto}`,
      `base = ${auto}.from_pretrained("${base}")`,
      'model = PeftModel.from_pretrained(base, "adapter")  # the unpacked zip',
    ].join('\n');
  }

  /** Names and sizes, before anything is written. */
  private async look(plan: Plan | null, step: number): Promise<void> {
    if (plan !== this.looked.plan) this.known = {};
    this.looked = { plan, step };
    for (const request of LISTED) {
      const found = await this.workspace.trainer
        .client()
        .then((client) => client.exportManifest(request))
        .catch((error: unknown) => problem(error));
      if (this.looked.plan !== plan || this.looked.step !== step) return;
      this.known = { ...this.known, [request.format]: found };
    }
  }

  private async download(): Promise<void> {
    const { trainer } = this.workspace;
    this.busy = true;
    this.error = null;
    try {
      const zip = await (await trainer.client()).adapterZip();
      const name = this.whole ? 'model.zip' : 'adapter.zip';
      saveFile(this, name, new Blob([zip], { type: 'application/zip' }));
    } catch (error) {
      this.error = problem(error);
    } finally {
      this.busy = false;
    }
  }
}
