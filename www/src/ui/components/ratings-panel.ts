import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { RATINGS } from '../stores/ratings.js';
import type { Store } from '../stores/store.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** The answers that the run waits for ratings of. */
@customElement('ratings-panel')
export class RatingsPanel extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .panel {
        margin: 14px 0;
        padding: 14px 16px;
        border: 1px solid var(--accent);
        border-radius: var(--radius);
      }
      h3 {
        margin: 0 0 8px;
      }
      fieldset {
        display: flex;
        flex-wrap: wrap;
        gap: 6px 16px;
        margin: 0;
        padding: 8px 0;
        border: 0;
        border-top: 1px solid var(--line);
      }
      .answer {
        flex: 1 1 100%;
        margin: 0;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      label {
        display: flex;
        align-items: center;
        gap: 6px;
        margin: 0;
        min-height: 36px;
        white-space: nowrap;
      }
      input[type='radio'] {
        width: 18px;
        height: 18px;
        min-height: 0;
        margin: 0;
        flex: none;
        accent-color: var(--accent);
      }
    `,
  ];

  protected override watched({ ratings }: Workspace): Store[] {
    return [ratings];
  }

  override render() {
    const { ratings } = this.workspace;
    if (!ratings.waiting) return nothing;
    const asked = ratings.prompt.at(-1)?.content ?? '';
    return html`<div class="panel" role="group" aria-label="Answers to rate" data-test="ratings">
      <h3>How good are these answers to “${asked}”?</h3>
      ${ratings.answers.map((answer, place) => this.answer(answer, place))}
      <div class="row">
        <button
          class="primary"
          data-test="rated"
          ?disabled=${!ratings.complete}
          @click=${() => void ratings.done()}
        >
          Learn from these ratings
        </button>
        <span class="small muted">Answers that are rated alike teach nothing.</span>
      </div>
    </div>`;
  }

  private answer(answer: string, place: number) {
    const { ratings } = this.workspace;
    return html`<fieldset>
      <legend class="visually-hidden">Answer ${place + 1}</legend>
      <p class="answer" data-test="answer-to-rate" .textContent=${answer.trim() || '(nothing)'}></p>
      ${RATINGS.map(
        ({ label, value }) =>
          html`<label
            ><input
              type="radio"
              name=${`answer-${place}`}
              .checked=${ratings.ratings[place] === value}
              @change=${() => ratings.rate(place, value)}
            />${label}</label
          >`,
      )}
    </fieldset>`;
  }
}
