import { css, html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { bytes } from '../words/format.js';
import type { Store } from '../stores/store.js';
import { saveFile } from './save-file.js';
import './gguf-downloads.js';
import { errorNotice } from './error-notice.js';
import { problem, type Problem } from '../problem.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** The adapter as a zip, what is in it, and how to open it elsewhere. */
@customElement('download-section')
export class DownloadSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .grid {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1.4fr);
        gap: 24px;
        margin-top: 18px;
      }
      @media (max-width: 700px) {
        .grid {
          grid-template-columns: minmax(0, 1fr);
        }
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        justify-content: space-between;
        gap: 12px;
        padding: 4px 0;
        border-bottom: 1px solid var(--line);
      }
      pre {
        margin: 0;
        padding: 14px 16px;
        overflow-x: auto;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--sunken);
        line-height: 1.6;
      }
    `,
  ];
  @state() private files: { name: string; bytes: number }[] = [];
  @state() private error: Problem | null = null;
  @state() private busy = false;
  /** The step whose files are listed. */
  private listedStep = 0;

  protected override watched({ training, model }: Workspace): Store[] {
    return [training, model];
  }

  override render() {
    const { model, training } = this.workspace;
    const settled = ['paused', 'stopped', 'finished'].includes(training.state);
    const ready = training.hasAdapter && settled && !this.busy;
    if (ready && this.listedStep !== training.last?.step) void this.list();
    return html`
      <button class="primary" data-test="download" ?disabled=${!ready} @click=${this.download}>
        ${this.busy ? 'Packing …' : `Download ${this.whole ? 'model' : 'adapter'} (.zip)`}
      </button>
      ${
        training.hasAdapter
          ? settled
            ? nothing
            : html`<p class="muted small">Pause or finish the run to download.</p>`
          : html`<p class="muted small">There is no adapter yet.</p>`
      }
      ${errorNotice(this.error, 'download-error')}
      <div class="grid">
        <div>
          <h3>In the zip</h3>
          ${
            this.files.length > 0 && training.hasAdapter
              ? html`<ul data-test="files">
                  ${this.files.map((file) => html`<li><code>${file.name}</code><span class="muted small">${bytes(file.bytes)}</span></li>`)}
                </ul>`
              : html`<p class="muted small">
                  The adapter's weights and configuration, the tokenizer with its chat template, and a README
                  that says how it was made.
                </p>`
          }
        </div>
        <div>
          <h3>
            Open it with
            ${model.isEncoder && !training.judges ? 'sentence-transformers' : this.whole ? 'transformers' : 'PEFT'}
          </h3>
          <pre tabindex="0"><code>${this.snippet()}</code></pre>
        </div>
      </div>
      ${
        training.hasAdapter && settled && !model.isEncoder && !training.judges
          ? html`<gguf-downloads></gguf-downloads>`
          : nothing
      }
    `;
  }

  /** A run that trains weights of the model itself leaves a whole model. */
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

  private async list(): Promise<void> {
    const { trainer, training } = this.workspace;
    this.listedStep = training.last?.step ?? 0;
    try {
      const files = await (await trainer.client()).adapterFiles();
      this.files = files.map((file) => ({ name: file.name, bytes: file.bytes.length }));
    } catch (error) {
      this.error = problem(error);
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
