import { makeZip } from 'client-zip';
import { css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Manifest, ModelFile } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import type { Store } from '../stores/store.js';
import { shared } from '../styles.js';
import type { Destination, Offer } from '../words/destinations.js';
import { bytes } from '../words/format.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';
import { errorNotice } from './error-notice.js';
import { saveFile } from './save-file.js';

/** What is known of each format: its files, or why there are none. */
export type Known = Partial<Record<Offer['request']['format'], Manifest | Problem>>;

export const cardStyles = css`
  .card {
    display: grid;
    grid-template-columns: minmax(0, 1fr) minmax(0, 1.2fr);
    gap: 8px 28px;
    padding: 18px 20px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--card);
  }
  .card h3 {
    margin: 0 0 4px;
    font-size: 1.02rem;
  }
  .card p {
    margin: 0;
  }
  .get {
    display: grid;
    gap: 8px;
    align-content: start;
    min-width: 0;
  }
  .command {
    display: block;
    padding: 8px 12px;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--sunken);
    overflow-wrap: anywhere;
  }
  ul {
    display: grid;
    gap: 6px;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  @container (max-width: 600px) {
    .card {
      grid-template-columns: minmax(0, 1fr);
      padding: 16px 14px;
    }
  }
`;

/** One program to use the result in: what it gets, how large that is, and what to type there. */
@customElement('export-card')
export class ExportCard extends WorkspaceElement {
  static override styles = [shared, cardStyles];
  @property({ attribute: false }) destination!: Destination;
  @property({ attribute: false }) known: Known = {};
  @property({ type: Boolean }) ready = false;
  @state() private busy: Offer | null = null;
  @state() private error: Problem | null = null;
  /** What was downloaded last, and the Modelfile beside it. */
  @state() private given: { offer: Offer; modelfile: ModelFile | undefined } | null = null;

  protected override watched({ model }: Workspace): Store[] {
    return [model];
  }

  override render() {
    const { destination, given } = this;
    const lines = this.usage(given?.offer);
    return html`<article class="card" aria-label=${destination.title}>
      <div>
        <h3>${destination.title}</h3>
        <p class="small muted">${destination.what}</p>
      </div>
      <div class="get">
        <div class="row">
          ${destination.offers.map((offer) => this.button(offer))}
          ${
            destination.modelfile && given?.modelfile
              ? html`<button data-test="download-modelfile" @click=${this.saveModelfile}>Modelfile</button>`
              : nothing
          }
        </div>
        ${this.refusals()}
        ${
          lines.length > 0
            ? html`<ul data-test=${`${destination.name}-usage`}>
                ${lines.map((line) => html`<li><code class="command">${line}</code></li>`)}
              </ul>`
            : nothing
        }
        ${errorNotice(this.error, `${destination.name}-error`)}
      </div>
    </article>`;
  }

  private button(offer: Offer) {
    const known = this.known[offer.request.format];
    if (known && 'text' in known) return nothing;
    const sum = known?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
    // A Modelfile comes by itself.
    const size = this.destination.zip ? sum : (known?.files[0]?.bytes ?? 0);
    return html`<button
      data-test=${offer.name}
      ?disabled=${!known || !this.ready || this.busy !== null}
      @click=${() => this.download(offer)}
    >
      ${this.busy === offer ? 'Writing …' : `${offer.label}${size > 0 ? ` (${bytes(size)})` : ''}`}
    </button>`;
  }

  /** Why something cannot be had; once where several formats have the same reason. */
  private refusals() {
    const texts = this.destination.offers.flatMap(({ request }) => {
      const known = this.known[request.format];
      return known && 'text' in known ? [known.text] : [];
    });
    return [...new Set(texts)].map((text) => html`<p class="muted small">${text}</p>`);
  }

  /** What to type for the download that was chosen, or for the first that can be had. */
  private usage(chosen: Offer | undefined): string[] {
    const { model } = this.workspace;
    const all = chosen ? [chosen] : this.destination.offers;
    for (const { request } of all) {
      const known = this.known[request.format];
      if (!known || 'text' in known) continue;
      const base = model.open?.base;
      return known.usage
        .filter((line) => this.destination.usage.test(line))
        .map((line) => (base ? line.replace(/\bBASE\b(?!\.)/, base) : line));
    }
    return [];
  }

  private async download(offer: Offer): Promise<void> {
    const { zip } = this.destination;
    this.busy = offer;
    this.error = null;
    try {
      const files = await (await this.workspace.trainer.client()).export(offer.request);
      const [first] = files;
      if (zip) saveFile(this, zip, await packed(files));
      else if (first) saveFile(this, first.name, first.blob);
      this.given = { offer, modelfile: files.find(({ name }) => name === 'Modelfile') };
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

/** One file after the other, so that only one is whole in memory. A `Response` would not do: the locked network refuses its body. */
async function packed(files: ModelFile[]): Promise<Blob> {
  const reader = makeZip(contents(files)).getReader();
  const pieces: Blob[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(pieces, { type: 'application/zip' });
    pieces.push(new Blob([value as Uint8Array<ArrayBuffer>]));
  }
}

async function* contents(files: ModelFile[]) {
  for (const { name, blob } of files) yield { name, input: new Uint8Array(await blob.arrayBuffer()) };
}

declare global {
  interface HTMLElementTagNameMap {
    'export-card': ExportCard;
  }
}
