import { html } from 'lit';

export const logo = html`<svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
  <rect width="32" height="32" rx="8" fill="var(--accent)" />
  <path d="M6 7l8 6v6l-8 6z" fill="var(--on-accent)" />
  <path d="M26 7l-8 6v6l8 6z" fill="var(--on-accent)" opacity="0.7" />
</svg>`;
