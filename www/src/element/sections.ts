import { html } from 'lit';
import type { View } from './task.js';
import type { Words } from './words.js';

/** The views that are the page's own sections. */
export function section(view: Exclude<View, 'train' | 'try'>, words: Words) {
  switch (view) {
    case 'data':
      return html`<section lang="en">
        <p class="title">${words.data}</p>
        <data-section></data-section>
      </section>`;
    case 'settings':
      return html`<section lang="en">
        <p class="title">${words.settings}</p>
        <settings-section></settings-section>
      </section>`;
    case 'export':
      return html`<section lang="en">
        <p class="title">${words.export}</p>
        <download-section></download-section>
      </section>`;
    case 'runs':
      return html`<section lang="en">
        <p class="title">${words.runs}</p>
        <runs-section></runs-section>
      </section>`;
  }
}
