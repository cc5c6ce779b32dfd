/** What every component shares: buttons, fields, notices. */
import { css } from 'lit';

export const shared = css`
  :host {
    display: block;
    color: var(--ink);
  }
  :host([hidden]) {
    display: none;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  p {
    margin: 0 0 0.75em;
  }
  h3 {
    font-size: 0.95rem;
    margin: 0 0 0.5rem;
  }
  a {
    color: var(--accent);
  }
  code,
  pre,
  .mono {
    font-family: var(--mono);
    font-size: 0.86em;
  }
  button,
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.45em;
    min-height: 36px;
    padding: 0 14px;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--card);
    color: var(--ink);
    font: 600 0.9rem/1 var(--sans);
    cursor: pointer;
    transition:
      background 0.12s,
      border-color 0.12s;
  }
  button:hover:not(:disabled),
  .button:hover {
    border-color: var(--accent);
  }
  button:disabled {
    opacity: 0.45;
    cursor: not-allowed;
  }
  button.primary {
    background: var(--accent);
    border-color: var(--accent);
    color: var(--on-accent);
  }
  button.primary:hover:not(:disabled) {
    background: var(--accent-hover);
  }
  button.plain {
    border-color: transparent;
    background: none;
    color: var(--accent);
    padding: 0 8px;
  }
  input,
  select,
  textarea {
    width: 100%;
    min-height: 36px;
    padding: 6px 10px;
    border: 1px solid var(--line-strong);
    border-radius: 8px;
    background: var(--card);
    color: var(--ink);
    font: 0.92rem/1.4 var(--sans);
  }
  input:disabled,
  select:disabled,
  textarea:disabled {
    opacity: 0.6;
  }
  input[aria-invalid='true'] {
    border-color: var(--bad);
  }
  input[type='checkbox'] {
    width: 18px;
    min-height: 18px;
    height: 18px;
    margin: 0;
    padding: 0;
    accent-color: var(--accent);
    flex: none;
  }
  label {
    font-weight: 600;
    font-size: 0.9rem;
  }
  .muted {
    color: var(--muted);
  }
  .small {
    font-size: 0.86rem;
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px;
  }
  .grow {
    flex: 1 1 auto;
    min-width: 0;
  }
  .notice {
    margin: 10px 0 0;
    padding: 10px 14px;
    border-radius: 8px;
    background: var(--sunken);
    font-size: 0.92rem;
    overflow-wrap: anywhere;
  }
  .notice.error {
    background: var(--bad-soft);
    color: var(--bad);
  }
  .notice.warn {
    background: var(--warn-soft);
    color: var(--warn);
  }
  progress {
    appearance: none;
    display: block;
    width: 100%;
    height: 6px;
    border: 0;
    border-radius: 3px;
    overflow: hidden;
    background: var(--line);
  }
  progress::-webkit-progress-bar {
    background: var(--line);
  }
  progress::-webkit-progress-value {
    background: var(--accent);
    transition: width 0.2s;
  }
  progress::-moz-progress-bar {
    background: var(--accent);
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  details > summary {
    cursor: pointer;
    font-weight: 600;
    font-size: 0.92rem;
    padding: 6px 0;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after,
    progress::-webkit-progress-value {
      transition: none !important;
      animation: none !important;
    }
  }
`;
