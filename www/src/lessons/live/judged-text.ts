import { LitElement, css, html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { TokenProbability } from '../../engine/index.js';
import { shared } from '../../ui/styles.js';
import { chance, shown } from '../course/measures.js';

const NAMED = 3;

/** A text whose pieces are the stronger underlaid the likelier they were; those expected least are named. */
@customElement('judged-text')
export class JudgedText extends LitElement {
  static override styles = [
    shared,
    css`
      p {
        margin: 0 0 8px;
        font: 1rem/2 var(--mono);
        overflow-wrap: anywhere;
      }
      .piece {
        padding: 3px 0;
        border-bottom: 2px solid transparent;
      }
      .least {
        border-bottom-color: var(--second);
      }
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 16px;
        margin: 0;
        padding: 0;
        list-style: none;
        font-size: 0.86rem;
      }
      li {
        font-variant-numeric: tabular-nums;
      }
      b {
        font-family: var(--mono);
      }
    `,
  ];
  @property({ attribute: false }) tokens: TokenProbability[] = [];
  /** What stands before the pieces expected least. */
  @property() surprises = '';

  override render() {
    const least = [...this.tokens].sort((a, b) => a.probability - b.probability).slice(0, NAMED);
    return html`<p>
        ${this.tokens.map((told, place) => {
          // Each piece of the text begins with its space, but for the first.
          const text = place === 0 ? told.token.trimStart() : told.token;
          const style = `background: color-mix(in srgb, var(--mark) ${Math.round(100 * told.probability)}%, transparent)`;
          return html`<span
            class=${least.includes(told) ? 'piece least' : 'piece'}
            style=${style}
            title=${chance(told.probability)}
            >${text}</span
          >`;
        })}
      </p>
      <ul aria-label=${this.surprises}>
        <li class="muted" aria-hidden="true">${this.surprises}:</li>
        ${least.map(({ token, probability }) => html`<li><b>${shown(token)}</b> ${chance(probability)}</li>`)}
      </ul>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'judged-text': JudgedText;
  }
}
