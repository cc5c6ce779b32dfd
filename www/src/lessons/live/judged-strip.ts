import { LitElement, css, html, svg } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { shared } from '../../ui/styles.js';
import { meanChance } from '../course/measures.js';
import { fill, type JudgedText } from '../lesson.js';
import type { Words } from '../words/words.js';
import './judged-text.js';

const WIDTH = 600;
const EDGE = 26;
/** Dots that would lie over one another are stacked, so many pixels apart. */
const APART = 11;

/** Many judged texts: each a dot on a line from 0 to 100 %; below it the one that was expected most, and the least. */
@customElement('judged-strip')
export class JudgedStrip extends LitElement {
  static override styles = [
    shared,
    css`
      svg {
        display: block;
        width: 100%;
        height: auto;
      }
      circle {
        fill: var(--accent);
      }
      .low {
        fill: var(--second);
      }
      line {
        stroke: var(--line-strong);
      }
      text {
        fill: var(--muted);
        font: 15px var(--sans);
        text-anchor: middle;
      }
      h4 {
        margin: 14px 0 2px;
        color: var(--muted);
        font-size: 0.84rem;
      }
    `,
  ];
  @property({ attribute: false }) texts: JudgedText[] = [];
  @property({ attribute: false }) words!: Words['live'];

  override render() {
    const { words } = this;
    const judged = this.texts
      .map((text) => ({ ...text, mean: meanChance(text.tokens) }))
      .sort((a, b) => a.mean - b.mean);
    const low = judged.filter(({ mean }) => mean < 0.5).length;
    const label = fill(words.strip, { all: String(judged.length), low: String(low) });
    const stacks = new Map<number, number>();
    const dots = judged.map(({ mean }) => {
      const column = Math.round((mean * (WIDTH - 2 * EDGE)) / APART);
      const height = stacks.get(column) ?? 0;
      stacks.set(column, height + 1);
      return { x: EDGE + column * APART, row: height, mean };
    });
    const rows = Math.max(3, ...stacks.values());
    const floor = rows * APART + 8;
    const at = (share: number) => EDGE + share * (WIDTH - 2 * EDGE);
    const [least, most] = [judged[0], judged.at(-1)];
    return html`<svg viewBox="0 0 ${WIDTH} ${floor + 26}" role="img" aria-label=${label} data-test="strip">
        <line x1=${at(0)} x2=${at(1)} y1=${floor} y2=${floor}></line>
        ${[0, 0.5, 1].map((share) => svg`<text x=${at(share)} y=${floor + 20}>${100 * share} %</text>`)}
        ${dots.map(
          ({ x, row, mean }) =>
            svg`<circle class=${mean < 0.5 ? 'low' : ''} cx=${x} cy=${floor - 8 - row * APART} r="4.5"></circle>`,
        )}
      </svg>
      <p class="small muted">${label}</p>
      ${least ? this.named(words.leastExpected, least) : ''}
      ${most ? this.named(words.mostExpected, most) : ''}`;
  }

  private named(name: string, { tokens }: JudgedText) {
    return html`<h4>${name}</h4>
      <judged-text .tokens=${tokens} .surprises=${this.words.surprises}></judged-text>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'judged-strip': JudgedStrip;
  }
}
