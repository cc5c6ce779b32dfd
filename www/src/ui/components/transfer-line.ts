import { css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { bytes, duration, percent } from '../words/format.js';
import type { Busy } from '../stores/model.js';
import type { Store } from '../stores/store.js';
import { Milestones } from '../words/milestones.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';

/** Progress of a download or of reading the weights, with a way out. */
@customElement('transfer-line')
export class TransferLine extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .visually-hidden {
        white-space: normal;
      }
    `,
  ];
  @property({ attribute: false }) busy: Busy | null = null;
  private readonly milestones = new Milestones();

  protected override watched(): Store[] {
    return [];
  }

  /** The place that is read out is there before it has anything to say. */
  override render() {
    return html`<div role="status" class="visually-hidden" data-test="transfer-status">${this.told()}</div>
      ${this.busy ? this.line(this.busy) : nothing}`;
  }

  private line(busy: Busy) {
    return html`<div class="notice" data-test="transfer">
      <div class="row">
        <span class="grow small">${shown(busy)}</span>
        <button class="plain" @click=${() => void this.workspace.model.cancel()}>Stop</button>
      </div>
      <progress max="1" .value=${busy.share} aria-label=${name(busy)}></progress>
    </div>`;
  }

  private told(): string {
    const { busy } = this;
    if (!busy) {
      this.milestones.reset();
      return '';
    }
    const topic = busy.wait?.why ?? name(busy);
    const text = busy.wait ? shown(busy) : `${name(busy)}: ${percent(busy.share)}`;
    return this.milestones.tell(topic, busy.wait ? 0 : busy.share, text);
  }
}

function name({ transfer, what }: Busy): string {
  if (!transfer) return what;
  return `${transfer.checking ? 'Checking what is kept of' : 'Download of'} ${transfer.file}`;
}

function shown(busy: Busy): string {
  const { transfer, wait } = busy;
  if (wait) return `${wait.why}; going on in ${duration(wait.secondsLeft)}.`;
  if (!transfer || transfer.checking) return `${name(busy)} …`;
  const resumed = transfer.resumedFrom > 0 ? `, going on from ${bytes(transfer.resumedFrom)}` : '';
  return `${transfer.file}: ${bytes(transfer.done)} of ${bytes(transfer.total)}${resumed}`;
}
