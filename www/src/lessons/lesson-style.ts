import { css } from 'lit';

/** How a lesson is laid out: text left and live part right, on a phone one under the other. */
export const lessonStyle = css`
  .head {
    display: flex;
    flex-wrap: wrap;
    align-items: end;
    justify-content: space-between;
    gap: 12px 32px;
    margin: 28px 0 24px;
  }
  h1 {
    margin: 0;
    font-size: clamp(1.5rem, 3.6vw, 2rem);
    line-height: 1.2;
    letter-spacing: -0.02em;
    text-wrap: balance;
  }
  h2 {
    margin: 0 0 12px;
    font-size: 1.22rem;
    line-height: 1.3;
    letter-spacing: -0.01em;
  }
  h2:focus {
    outline: none;
  }
  .steps {
    display: flex;
    gap: 6px;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .steps button {
    width: 36px;
    padding: 0;
    border-radius: 50%;
    font-variant-numeric: tabular-nums;
  }
  .steps .done {
    border-color: var(--good);
    color: var(--good);
  }
  .steps [aria-current] {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
  }
  .columns {
    display: grid;
    grid-template-columns: minmax(38ch, 5fr) minmax(0, 6fr);
    grid-template-rows: auto 1fr;
    column-gap: 48px;
    align-items: start;
  }
  .after {
    grid-column: 1;
  }
  .text {
    font-size: 1.04rem;
    line-height: 1.65;
    max-width: 62ch;
  }
  .live {
    grid-column: 2;
    grid-row: 1 / span 2;
    position: sticky;
    top: 84px;
    max-height: calc(100vh - 108px);
    overflow-y: auto;
    padding: 20px 22px 24px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--card);
  }
  @media (max-width: 900px) {
    .columns {
      grid-template-columns: minmax(0, 1fr);
      row-gap: 20px;
    }
    .live {
      grid-column: 1;
      grid-row: auto;
      position: static;
      max-height: none;
      padding: 16px;
    }
    .head {
      margin: 18px 0 16px;
    }
  }
  .phases {
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .phases > li {
    position: relative;
    padding: 0 0 26px 34px;
  }
  .phases > li::before {
    content: '';
    position: absolute;
    top: 5px;
    left: 4px;
    width: 11px;
    height: 11px;
    border: 2px solid var(--line-strong);
    border-radius: 50%;
    background: var(--paper);
  }
  p + .phases {
    margin-top: 22px;
  }
  .phases > li:not(.last)::after {
    content: '';
    position: absolute;
    top: 24px;
    bottom: 0;
    left: 11px;
    width: 1px;
    background: var(--line);
  }
  .phases > .now::before {
    border-color: var(--accent);
  }
  .phases > .done::before {
    border-color: var(--good);
    background: var(--good);
  }
  h3 {
    margin: 0 0 4px;
    color: var(--muted);
    font-size: 0.86rem;
    font-weight: 700;
  }
  .now > h3 {
    color: var(--accent);
  }
  .later {
    color: var(--muted);
  }
  fieldset {
    display: grid;
    gap: 6px;
    margin: 0;
    padding: 0;
    border: 0;
  }
  legend {
    margin-bottom: 8px;
    padding: 0;
  }
  label {
    display: flex;
    align-items: center;
    gap: 10px;
    min-height: 42px;
    padding: 6px 14px;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--card);
    font-weight: 400;
    font-size: 0.97rem;
    cursor: pointer;
  }
  label:hover {
    border-color: var(--accent);
  }
  label:has(:checked) {
    border-color: var(--accent);
    background: var(--accent-soft);
  }
  label:has(:focus-visible) {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  label:has(:disabled) {
    cursor: default;
  }
  label.right:has(:checked) {
    border-color: var(--good);
    background: var(--good-soft);
  }
  input[type='radio'] {
    width: 18px;
    height: 18px;
    min-height: 0;
    margin: 0;
    flex: none;
    accent-color: var(--accent);
  }
  input[type='radio']:focus-visible {
    outline: none;
  }
  .choices {
    display: flex;
    flex-wrap: wrap;
  }
  .choices legend {
    width: 100%;
  }
  .field {
    display: grid;
    gap: 4px;
    max-width: 320px;
    margin: 0 0 12px;
  }
  .field label {
    display: block;
    min-height: 0;
    padding: 0;
    border: 0;
    background: none;
    font-weight: 600;
    font-size: 0.9rem;
  }
  .verdict {
    margin: 12px 0 0;
    padding: 12px 16px;
    border-radius: 8px;
    background: var(--sunken);
  }
  .verdict.right {
    background: var(--good-soft);
  }
  .verdict b {
    font-weight: 700;
  }
  .on {
    display: flex;
    justify-content: space-between;
    gap: 12px;
    margin-top: 4px;
    padding-top: 18px;
    border-top: 1px solid var(--line);
  }
  /* Nothing moves when a run begins. */
  .room {
    min-height: 56px;
  }
  .doing:not(:empty) {
    margin-top: 8px;
  }
  progress {
    max-width: 320px;
    margin-top: 6px;
  }
`;
