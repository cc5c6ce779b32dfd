import { html } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import type { Store } from '../stores/store.js';
import { saveFile } from './save-file.js';
import { errorNotice } from './error-notice.js';
import { cardStyles } from './export-card.js';
import { problem, type Problem } from '../problem.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** The run as a Python project that goes on with it on one GPU or many. */
@customElement('graduate-download')
export class GraduateDownload extends WorkspaceElement {
  static override styles = [shared, cardStyles];
  @state() private error: Problem | null = null;
  @state() private busy = false;

  protected override watched({ training }: Workspace): Store[] {
    return [training];
  }

  override render() {
    return html`<article class="card" aria-label="More GPUs">
      <div>
        <h3>More GPUs</h3>
        <p class="small muted">
          A Python project on TRL and Accelerate that goes on with the same rows, settings and adapter. Its
          README says what to type on one GPU, on eight and on a cluster.
        </p>
      </div>
      <div class="get">
        <div class="row">
          <button data-test="download-graduate" ?disabled=${this.busy} @click=${this.download}>
            ${this.busy ? 'Packing …' : 'Project (.zip)'}
          </button>
        </div>
        ${errorNotice(this.error, 'graduate-error')}
      </div>
    </article>`;
  }

  private async download(): Promise<void> {
    const { trainer, training, recipe } = this.workspace;
    this.busy = true;
    this.error = null;
    try {
      const client = await trainer.client();
      const zip = await client.graduateZip(training.plan?.recipe ?? recipe.value);
      saveFile(this, 'graduate.zip', new Blob([zip], { type: 'application/zip' }));
    } catch (error) {
      this.error = problem(error);
    } finally {
      this.busy = false;
    }
  }
}
