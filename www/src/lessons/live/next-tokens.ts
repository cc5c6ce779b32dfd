import { LitElement, css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { TokenProbability } from '../../engine/index.js';
import { shared } from '../../ui/styles.js';
import { chance, shown } from '../course/measures.js';

/** The likeliest next pieces as bars; where they may be picked, each is a button. */
@customElement('next-tokens')
export class NextTokens extends LitElement {
  static override styles = [
    shared,
    css`
      ol {
        display: grid;
        gap: 4px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li > * {
        display: grid;
        grid-template-columns: minmax(64px, 22%) 1fr 58px;
        align-items: center;
        gap: 10px;
        width: 100%;
        min-height: 30px;
        padding: 0;
      }
      button {
        min-height: 36px;
        padding: 0 8px;
        text-align: left;
        font: inherit;
        justify-content: stretch;
      }
      .token {
        overflow: hidden;
        font: 600 0.92rem/1.2 var(--mono);
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .bar {
        height: 14px;
        border-radius: 3px;
        background: var(--sunken);
        overflow: hidden;
      }
      .bar > span {
        display: block;
        height: 100%;
        min-width: 2px;
        border-radius: 3px;
        background: var(--accent);
        transition: width 0.14s;
      }
      .others .bar > span {
        background: var(--line-strong);
      }
      .others .token {
        color: var(--muted);
        font: 0.82rem/1.2 var(--sans);
        white-space: normal;
      }
      .percent {
        text-align: right;
        font-variant-numeric: tabular-nums;
        font-size: 0.86rem;
      }
      @media (prefers-reduced-motion: reduce) {
        .bar > span {
          transition: none;
        }
      }
    `,
  ];
  @property({ attribute: false }) tokens: TokenProbability[] = [];
  @property() others = '';
  /** What the list is called. */
  @property() name = '';
  @property({ type: Boolean }) pick = false;

  override render() {
    const rest = Math.max(0, 1 - this.tokens.reduce((sum, { probability }) => sum + probability, 0));
    return html`<ol aria-label=${this.name}>
      ${this.tokens.map((told, rank) => html`<li>${this.row(told, rank)}</li>`)}
      ${
        this.pick || rest < 0.0005
          ? nothing
          : html`<li class="others">${bar(html`<span class="token">${this.others}</span>`, rest)}</li>`
      }
    </ol>`;
  }

  private row({ token, probability }: TokenProbability, rank: number) {
    const word = html`<span class="token" data-test="token">${shown(token)}</span>`;
    if (!this.pick) return bar(word, probability);
    const choose = () => this.dispatchEvent(new CustomEvent('choose', { detail: rank }));
    return html`<button data-test="pick" @click=${choose}>${parts(word, probability)}</button>`;
  }
}

function bar(word: unknown, probability: number) {
  return html`<div>${parts(word, probability)}</div>`;
}

function parts(word: unknown, probability: number) {
  return html`${word}
    <span class="bar" aria-hidden="true"><span style=${`width: ${100 * probability}%`}></span></span>
    <span class="percent">${chance(probability)}</span>`;
}

declare global {
  interface HTMLElementTagNameMap {
    'next-tokens': NextTokens;
  }
}
