import { css, html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import type { ExportRequest, Manifest, ModelFile } from '../../engine/index.js';
import { bytes } from '../words/format.js';
import type { Store } from '../stores/store.js';
import { saveFile } from './save-file.js';
import { errorNotice } from './error-notice.js';
import { problem, type Problem } from '../problem.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

interface Offer {
  label: string;
  request: ExportRequest;
}

const OFFERS: Offer[] = [
  { label: 'GGUF adapter', request: { format: 'gguf-lora', dtype: 'f16' } },
  { label: 'Merged GGUF, Q8_0', request: { format: 'merged-gguf', dtype: 'q8_0' } },
];

/** What was trained as GGUF, for llama.cpp, LM Studio and Ollama. */
@customElement('gguf-downloads')
export class GgufDownloads extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      ul {
        margin: 8px 0 0;
        padding: 0;
        list-style: none;
      }
    `,
  ];
  /** By format: the files, or why there are none. */
  @state() private known: Record<string, Manifest | Problem> = {};
  /** What was downloaded last: how it is used, and the file beside it. */
  @state() private given: { usage: string[]; modelfile: ModelFile | undefined } | null = null;
  @state() private error: Problem | null = null;
  @state() private busy: string | null = null;
  /** The step whose files are known. */
  private step: number | undefined;

  protected override watched({ training, model }: Workspace): Store[] {
    return [training, model];
  }

  override render() {
    const step = this.workspace.training.last?.step ?? 0;
    if (this.step !== step) void this.look(step);
    return html`
      <h3>As GGUF, for llama.cpp, LM Studio and Ollama</h3>
      <div class="row">${OFFERS.map((offer) => this.button(offer))}</div>
      ${
        this.given
          ? html`<ul class="small" data-test="gguf-usage">
              ${this.given.usage.map((line) => html`<li><code>${line}</code></li>`)}
            </ul>`
          : nothing
      }
      ${
        this.given?.modelfile
          ? html`<button class="plain" data-test="download-modelfile" @click=${this.saveModelfile}>
              Modelfile, for Ollama
            </button>`
          : nothing
      }
      ${errorNotice(this.error, 'gguf-error')}
    `;
  }

  private button({ label, request }: Offer) {
    const known = this.known[request.format];
    if (known && 'text' in known) return html`<p class="muted small">${label}: ${known.text}</p>`;
    const size = known ? ` (${bytes(known.files[0]?.bytes ?? 0)})` : '';
    return html`<button
      data-test=${`download-${request.format}`}
      ?disabled=${!known || this.busy !== null}
      @click=${() => this.download(request)}
    >
      ${this.busy === request.format ? 'Writing …' : `${label}${size}`}
    </button>`;
  }

  /** Sizes, before anything is written. */
  private async look(step: number): Promise<void> {
    this.step = step;
    const client = await this.workspace.trainer.client();
    for (const { request } of OFFERS) {
      const known = await client.exportManifest(request).catch((error: unknown) => problem(error));
      this.known = { ...this.known, [request.format]: known };
    }
  }

  private async download(request: ExportRequest): Promise<void> {
    this.busy = request.format;
    this.error = null;
    try {
      const client = await this.workspace.trainer.client();
      const { usage } = await client.exportManifest(request);
      const [file, modelfile] = await client.export(request);
      if (file) saveFile(this, file.name, file.blob);
      this.given = { usage, modelfile };
    } catch (error) {
      this.error = problem(error);
    } finally {
      this.busy = null;
    }
  }

  private saveModelfile(): void {
    const modelfile = this.given?.modelfile;
    if (modelfile) saveFile(this, modelfile.name, modelfile.blob);
  }
}
