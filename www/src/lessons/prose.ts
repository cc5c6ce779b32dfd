/** Prose as it is shown: terms of the field small beside the plain words, values set off. */
import { css, html } from 'lit';
import { fill, type Values } from './lesson.js';

export const proseStyle = css`
  .term {
    color: var(--muted);
    font-size: 0.8em;
    letter-spacing: 0.01em;
  }
  .value {
    font-weight: 650;
    font-variant-numeric: tabular-nums;
  }
`;

export function prose(text: string, values: Values = {}) {
  return text
    .split(/(\[[^\]]+\]|\{\w+\})/)
    .map((part) =>
      part.startsWith('[')
        ? html`<small class="term">${part.slice(1, -1)}</small>`
        : part.startsWith('{')
          ? html`<span class="value">${fill(part, values)}</span>`
          : part,
    );
}

/** The same as plain text: on the card, on labels. */
export function plain(text: string, values: Values = {}): string {
  return fill(text.replace(/ ?\[[^\]]+\]/g, ''), values);
}
