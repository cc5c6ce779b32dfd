/** The looks of the element: everything follows from four custom properties, the font and the colour scheme around it. */
import { css } from 'lit';

/** For `:host` of the element; what is inside inherits it. */
export const tokens = css`
  :host {
    --paper: var(--loralet-paper, light-dark(#fdfcfa, #16181e));
    --ink: var(--loralet-ink, light-dark(#1b1d24, #eceae6));
    --accent: var(--loralet-accent, light-dark(#4a43d1, #a19eff));
    --radius: var(--loralet-radius, 12px);
    --card: color-mix(in oklab, var(--ink) 2%, var(--paper));
    --sunken: color-mix(in oklab, var(--ink) 4.5%, var(--paper));
    --line: color-mix(in oklab, var(--ink) 14%, var(--paper));
    --line-strong: color-mix(in oklab, var(--ink) 52%, var(--paper));
    --muted: color-mix(in oklab, var(--ink) 72%, var(--paper));
    --accent-hover: color-mix(in oklab, var(--accent) 86%, var(--ink));
    --accent-soft: color-mix(in oklab, var(--accent) 9%, var(--paper));
    --on-accent: light-dark(#ffffff, #14151b);
    --second: light-dark(#b1500a, #f0a15c);
    --good: light-dark(#17724a, #62cb9b);
    --good-soft: light-dark(#e3f4ec, #16342a);
    --bad: light-dark(#a8251d, #ff9d96);
    --bad-soft: color-mix(in oklab, var(--bad) 10%, var(--paper));
    --warn: light-dark(#7a4e00, #e9bb62);
    --warn-soft: color-mix(in oklab, var(--warn) 11%, var(--paper));
    --mark: light-dark(#ddf3e6, #1d4634);
    --mark-ink: light-dark(#0c4a2c, #c5f2da);
    --shadow: none;
    --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace;
  }
  /* Black or white, whichever stands out more from an accent of anybody's choice. */
  @supports (color: oklch(from red l c h)) {
    :host {
      --on-accent: oklch(from var(--accent) clamp(0, (0.67 - l) * 1000, 1) 0 0);
    }
  }
`;

/** Sizes are relative to the text around the element, not to that of its page. */
export const controls = css`
  :host {
    display: block;
    color: var(--ink);
  }
  :host([hidden]),
  [hidden] {
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
    margin: 0;
  }
  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.5em;
    min-height: 2.5em;
    padding: 0 1.05em;
    border: 1px solid var(--line-strong);
    border-radius: min(var(--radius), 8px);
    background: transparent;
    color: var(--ink);
    font: inherit;
    font-size: 0.9375em;
    font-weight: 600;
    line-height: 1.2;
    cursor: pointer;
    transition:
      background-color 0.12s,
      border-color 0.12s;
  }
  button:hover {
    border-color: var(--accent);
    background: var(--accent-soft);
  }
  button.primary {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
  }
  button.primary:hover {
    border-color: var(--accent-hover);
    background: var(--accent-hover);
  }
  button[aria-disabled='true'] {
    cursor: default;
  }
  button.primary[aria-disabled='true'],
  button.primary[aria-disabled='true']:hover {
    border-color: transparent;
    background: var(--accent-soft);
    color: var(--ink);
  }
  .small {
    font-size: 0.875em;
  }
  .muted {
    color: var(--muted);
  }
  .notice {
    margin-top: 0.75em;
    padding: 0.65em 0.9em;
    border-radius: min(var(--radius), 8px);
    background: var(--sunken);
    font-size: 0.9375em;
    overflow-wrap: anywhere;
  }
  .notice.error {
    background: var(--bad-soft);
    color: var(--bad);
  }
  .notice.warn {
    border-inline-start: 3px solid var(--warn);
    border-radius: 0;
    padding-block: 0.1em;
    background: none;
    font-size: 0.875em;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      transition: none !important;
      animation: none !important;
    }
  }
`;

/** What is around the views of the element: the button, what it says, and how far it is. */
export const frame = css`
  .frame {
    container-type: inline-size;
    padding: 1.1em 1.2em;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--paper);
    line-height: 1.5;
    text-align: start;
  }
  ::slotted(*:first-child) {
    margin-top: 0;
  }
  .controls {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px 10px;
  }
  .intro {
    margin-bottom: 0.6em;
  }
  .controls .primary {
    min-width: 7em;
  }
  .status {
    flex: 1 1 11em;
    min-width: 0;
    font-size: 0.9375em;
    font-variant-numeric: tabular-nums;
    overflow-wrap: anywhere;
  }
  progress {
    appearance: none;
    display: block;
    width: 100%;
    height: 3px;
    margin-top: 0.9em;
    border: 0;
    border-radius: 2px;
    overflow: hidden;
    background: var(--line);
  }
  progress.done {
    visibility: hidden;
  }
  progress::-webkit-progress-bar {
    background: var(--line);
  }
  progress::-webkit-progress-value {
    background: var(--accent);
    transition: inline-size 0.12s;
  }
  progress::-moz-progress-bar {
    background: var(--accent);
  }
  section {
    margin-top: 1em;
  }
  section + section {
    padding-top: 1em;
    border-top: 1px solid var(--line);
  }
  .title {
    margin: 0 0 0.5em;
    font-weight: 600;
  }
  .where {
    margin-top: 1em;
    color: var(--muted);
    font-size: 0.8125em;
  }
  @container (max-width: 330px) {
    .controls button {
      flex: 1 1 auto;
    }
    .status {
      flex-basis: 100%;
    }
  }
`;
