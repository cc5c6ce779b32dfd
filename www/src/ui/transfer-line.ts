import { html } from 'lit';
import { bytes } from '../app/format.js';
import type { Busy } from '../app/model.js';

/** Progress of a download or of reading the weights, with a way out. */
export function transferLine(busy: Busy, cancel: () => void) {
  const { transfer } = busy;
  const text = transfer
    ? `${transfer.file}: ${bytes(transfer.done)} of ${bytes(transfer.total)}${
        transfer.resumedFrom > 0 ? `, going on from ${bytes(transfer.resumedFrom)}` : ''
      }`
    : `${busy.what} …`;
  return html`<div class="notice" data-test="transfer">
    <div class="row">
      <span class="grow small">${text}</span>
      ${transfer ? html`<button class="plain" @click=${cancel}>Stop</button>` : ''}
    </div>
    <progress max="1" .value=${busy.share} aria-label="Progress"></progress>
  </div>`;
}
