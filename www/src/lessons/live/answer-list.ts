import { LitElement, css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { shared } from '../../ui/styles.js';
import type { Answer, Marks } from '../lesson.js';

/** Questions with their answers; each may have marks. */
@customElement('answer-list')
export class AnswerList extends LitElement {
  static override styles = [
    shared,
    css`
      ol {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: 1fr auto;
        gap: 0 12px;
        padding: 7px 0;
        border-top: 1px solid var(--line);
      }
      li:first-child {
        border-top: 0;
      }
      .prompt {
        grid-column: 1 / -1;
        color: var(--muted);
        font-size: 0.84rem;
      }
      .text {
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
      .marks {
        font-size: 0.95rem;
        font-weight: 700;
        white-space: nowrap;
      }
      .style {
        color: var(--accent);
      }
      .right {
        color: var(--good);
      }
      .none {
        color: var(--muted);
        font-weight: 400;
      }
    `,
  ];
  @property({ attribute: false }) answers: Answer[] = [];
  @property({ attribute: false }) marks: Marks[] | null = null;
  /** What the marks say to a screen reader, and to a pointer. */
  @property({ attribute: false }) words = { style: '', right: '', neither: '' };
  /** The prompt is part of the texts. */
  @property({ type: Boolean }) bare = false;

  override render() {
    return html`<ol>
      ${this.answers.map(
        ({ prompt, text }, place) =>
          html`<li>
            ${this.bare ? nothing : html`<span class="prompt">${prompt}</span>`}
            <span class="text" data-test="answer">${text.trim() || '…'}</span>
            ${this.mark(this.marks?.[place])}
          </li>`,
      )}
    </ol>`;
  }

  private mark(marks: Marks | undefined) {
    if (!marks) return nothing;
    const { style, right, neither } = this.words;
    const mark = (kind: string, symbol: string, words: string) =>
      html`<span class=${kind} title=${words}
        ><span aria-hidden="true">${symbol}</span><span class="visually-hidden">${words}</span></span
      >`;
    return html`<span class="marks">
      ${marks.style ? mark('style', '★', style) : nothing}
      ${marks.right ? mark('right', '✓', right) : nothing}
      ${marks.style || marks.right ? nothing : mark('none', '–', neither)}
    </span>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'answer-list': AnswerList;
  }
}
