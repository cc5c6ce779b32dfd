import { css, html, nothing } from 'lit';
import { property, query } from 'lit/decorators.js';
import type { LabelProbability } from '../engine/index.js';
import type { Side } from '../ui/stores/compare.js';
import type { Store } from '../ui/stores/store.js';
import { errorNotice } from '../ui/components/error-notice.js';
import { percent } from '../ui/words/format.js';
import { WorkspaceElement } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';
import { controls } from './styles.js';
import { wordsIn } from './words.js';

/** One question, answered by the model as it was and as it is now. */
export class TryView extends WorkspaceElement {
  static override styles = [
    controls,
    css`
      .question {
        display: flex;
        gap: 8px;
        align-items: stretch;
      }
      input {
        flex: 1 1 auto;
        min-width: 0;
        min-height: 2.5em;
        padding: 0 0.8em;
        border: 1px solid var(--line-strong);
        border-radius: min(var(--radius), 8px);
        background: var(--card);
        color: var(--ink);
        font: inherit;
        font-size: 0.9375em;
      }
      input::placeholder {
        color: var(--muted);
        opacity: 1;
      }
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
        margin: 8px 0 0;
        padding: 0;
        list-style: none;
      }
      .chip {
        min-height: 28px;
        padding: 0.3em 0.75em;
        border-color: var(--line);
        border-radius: 1em;
        font-size: 0.8125em;
        font-weight: 500;
        text-align: start;
      }
      .answers {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 15em), 1fr));
        gap: 10px;
        margin-top: 12px;
      }
      article {
        padding: 0.7em 0.9em 0.8em;
        border: 1px solid var(--line);
        border-radius: min(var(--radius), 10px);
        background: var(--card);
      }
      .tuned {
        border-color: color-mix(in oklab, var(--accent) 45%, var(--paper));
        background: var(--accent-soft);
      }
      .title {
        margin: 0 0 0.15em;
        color: var(--muted);
        font-size: 0.8125em;
        font-weight: 600;
      }
      .tuned .title {
        color: color-mix(in oklab, var(--accent) 70%, var(--ink));
      }
      .answer {
        min-height: 1.5em;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .running::after {
        content: '▍';
        color: var(--accent);
      }
      dl {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 0.1em 1em;
        margin: 0;
      }
      dd {
        margin: 0;
        font-variant-numeric: tabular-nums;
      }
      .likeliest {
        font-weight: 700;
      }
    `,
  ];
  @property() language = 'en';
  @property({ attribute: false }) prompts: string[] = [];
  @query('input') private prompt!: HTMLInputElement;

  protected override watched({ compare, training, model }: Workspace): Store[] {
    return [compare, training, model];
  }

  override render() {
    const { compare, training } = this.workspace;
    const words = wordsIn(this.language);
    const label = training.judges === 'classify' ? words.textToLabel : words.question;
    const hasAsked = compare.busy || compare.base.report !== null;
    return html`
      <div class="question">
        <input
          aria-label=${label}
          placeholder=${label}
          autocomplete="off"
          enterkeyhint="send"
          @keydown=${this.key}
        />
        <button part="button" data-test="ask" @click=${this.press}>
          ${compare.busy ? words.stopAnswer : words.ask}
        </button>
      </div>
      ${
        this.prompts.length > 0
          ? html`<ul aria-label=${words.examples}>
              ${this.prompts.map(
                (prompt) =>
                  html`<li>
                    <button class="chip" @click=${() => this.ask(prompt)}>${prompt}</button>
                  </li>`,
              )}
            </ul>`
          : nothing
      }
      <div role="status" class="visually-hidden">${compare.busy ? words.answering : ''}</div>
      <div lang="en">${errorNotice(compare.error, 'ask-error')}</div>
      ${
        hasAsked
          ? html`<div class="answers">
              ${this.side('base', words.before, compare.base)}
              ${this.side('tuned', compare.tuned.step === null ? words.untrained : words.after(compare.tuned.step), compare.tuned)}
            </div>`
          : nothing
      }
    `;
  }

  private side(name: 'base' | 'tuned', title: string, side: Side) {
    const words = wordsIn(this.language);
    const { report, running, text } = side;
    if (name === 'tuned' && !this.workspace.training.hasAdapter && side.step === null)
      return html`<article><p class="muted small">${title}</p></article>`;
    return html`<article class=${name} aria-label=${title} aria-busy=${running}>
      <p class="title" aria-hidden="true">${title}</p>
      ${
        report && report.labels.length > 0
          ? labels(name, report.labels)
          : html`<p
              part="answer"
              class=${running ? 'answer running' : 'answer'}
              data-test=${`answer-${name}`}
              .textContent=${report && !text.trim() ? words.silent : text.trimStart()}
            ></p>`
      }
      ${report?.stopped === 'length' ? html`<p class="muted small">${words.cut}</p>` : nothing}
    </article>`;
  }

  /** There is no form: a frame may be forbidden to submit one. */
  private key(event: KeyboardEvent): void {
    if (event.key === 'Enter' && !event.isComposing) this.press();
  }

  private press(): void {
    if (this.workspace.compare.busy) this.workspace.compare.cancel();
    else this.ask(this.prompt.value);
  }

  private ask(text: string): void {
    const prompt = text.trim();
    this.prompt.value = prompt;
    if (prompt === '') {
      this.prompt.focus();
      return;
    }
    const { compare } = this.workspace;
    void compare.ask({ prompt, system: '', maxNewTokens: 96, temperature: 0, answer: '' });
  }
}

/** A classifier's answer: the likeliest classes. */
function labels(side: string, all: LabelProbability[]) {
  const shown = [...all].sort((a, b) => b.probability - a.probability).slice(0, 5);
  return html`<dl>
    ${shown.map(
      ({ label, probability }, place) =>
        html`<dt
            part="answer"
            class=${place === 0 ? 'likeliest' : ''}
            data-test=${place === 0 ? `answer-${side}` : nothing}
          >
            ${label}
          </dt>
          <dd class=${place === 0 ? 'likeliest' : ''}>${percent(probability)}</dd>`,
    )}
  </dl>`;
}

if (!customElements.get('loralet-try-view')) customElements.define('loralet-try-view', TryView);

declare global {
  interface HTMLElementTagNameMap {
    'loralet-try-view': TryView;
  }
}
