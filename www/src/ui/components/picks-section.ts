import { css, html, nothing } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import type { Store } from '../stores/store.js';
import type { Objective, Pick, Verdict } from '../../engine/index.js';
import { saveFile } from './save-file.js';
import { errorNotice } from './error-notice.js';
import { showSection } from './show-section.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

const WORDS: Record<Verdict, string> = {
  first: 'first is better',
  second: 'second is better',
  both_good: 'both good',
  both_bad: 'both bad',
};

/** RLHF by hand: two answers, a pick, and what becomes of the picks. Fires `show-section` where the picks become data. */
@customElement('picks-section')
export class PicksSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      textarea {
        min-height: 52px;
        resize: vertical;
      }
      .options {
        display: grid;
        grid-template-columns: repeat(2, minmax(0, 160px));
        gap: 12px;
        margin: 4px 0 12px;
      }
      .options label {
        font-size: 0.84rem;
      }
      .sides {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(240px, 1fr));
        gap: 14px;
        margin-top: 16px;
      }
      article {
        display: flex;
        flex-direction: column;
        gap: 10px;
        padding: 14px 16px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--sunken);
      }
      article p {
        flex: 1;
        margin: 0;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .verdicts {
        margin-top: 12px;
      }
      .kept {
        margin-top: 20px;
        padding-top: 16px;
        border-top: 1px solid var(--line);
      }
      ul {
        max-height: 260px;
        overflow: auto;
        margin: 8px 0 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: baseline;
        gap: 8px;
        padding: 4px 0;
        border-bottom: 1px solid var(--line);
      }
      li span:first-child {
        flex: 1;
        min-width: 0;
        overflow-wrap: anywhere;
      }
    `,
  ];
  @query('#pick-prompt') private prompt!: HTMLTextAreaElement;

  protected override watched({ picks, training, model, data }: Workspace): Store[] {
    return [picks, training, model, data];
  }

  override render() {
    const { model, picks, training } = this.workspace;
    if (training.judges)
      return html`<p class="muted">This model labels or judges texts; it writes no answers to pick from.</p>`;
    const ready = model.open !== null && model.busy === null && !picks.busy;
    return html`
      <label for="pick-prompt">What both answer</label>
      <textarea
        id="pick-prompt"
        ?disabled=${!ready}
        placeholder="Something with better and worse answers"
        @keydown=${this.key}
      ></textarea>
      <div class="options">
        <div>
          <label for="pick-length">Tokens at most</label
          ><input id="pick-length" inputmode="numeric" value="64" ?disabled=${!ready} />
        </div>
        <div>
          <label for="pick-temperature">Spread (temperature)</label
          ><input id="pick-temperature" inputmode="decimal" value="1" ?disabled=${!ready} />
        </div>
      </div>
      <div class="row">
        <button class="primary" data-test="two-answers" ?disabled=${!ready} @click=${() => this.sample()}>
          Two answers${training.hasAdapter ? ' of the tuned model' : ''}
        </button>
        ${picks.busy ? html`<button @click=${() => picks.cancel()}>Stop</button>` : nothing}
        <span class="small muted" role="status">${picks.busy ? 'Answering …' : ''}</span>
      </div>
      ${errorNotice(picks.error, 'picks-error')}
      ${picks.writing ? html`<p class="muted small">${picks.writing}</p>` : nothing}
      ${picks.pair ? this.judge(picks.pair.answers) : nothing} ${this.kept(ready)}
    `;
  }

  private judge(answers: [string, string]) {
    const { picks } = this.workspace;
    const verdict = (name: string, which: Verdict) =>
      html`<button data-test=${`pick-${which}`} @click=${() => picks.pick(which)}>${name}</button>`;
    return html`
      <div class="sides">
        ${answers.map(
          (answer, index) =>
            html`<article>
              <h3>${index === 0 ? 'First' : 'Second'}</h3>
              <p
                data-test=${`answer-${index === 0 ? 'first' : 'second'}`}
                .textContent=${answer || '(nothing)'}
              ></p>
              ${verdict('This one is better', index === 0 ? 'first' : 'second')}
            </article>`,
        )}
      </div>
      <div class="row verdicts">
        ${verdict('Both good', 'both_good')} ${verdict('Both bad', 'both_bad')}
        <button class="plain" data-test="pick-skip" @click=${() => picks.skip()}>Skip</button>
      </div>
    `;
  }

  private kept(ready: boolean) {
    const { picks, training } = this.workspace;
    const count = picks.list.length;
    if (count === 0)
      return html`<p class="muted small kept">
        Picks are kept in this browser, for each model its own. A few dozen already change a small model.
      </p>`;
    const train = (objective: Objective, name: string) =>
      html`<button
        data-test=${`train-${objective}`}
        ?disabled=${!ready || training.active || picks.count(objective) < 2}
        @click=${() => this.use(objective)}
      >
        ${name}
      </button>`;
    return html`<div class="kept">
      <h3 data-test="picks-count">
        ${count} ${count === 1 ? 'pick' : 'picks'}: ${picks.count('dpo')} with a better answer,
        ${picks.count('kto')} rated answers
      </h3>
      <div class="row">
        ${train('dpo', 'Train on them (DPO)')} ${train('kto', 'On the ratings (KTO)')}
        ${train('reward', 'A reward model')}
      </div>
      <div class="row">
        <button class="plain" data-test="undo-pick" ?disabled=${!ready} @click=${() => picks.undo()}>
          Take the last back
        </button>
        <button
          class="plain"
          data-test="download-picks"
          ?disabled=${picks.count('dpo') === 0}
          @click=${() => this.save('my-picks.jsonl', picks.rows('dpo'))}
        >
          Download pairs
        </button>
        <button
          class="plain"
          data-test="download-ratings"
          @click=${() => this.save('my-ratings.jsonl', picks.rows('kto'))}
        >
          Download ratings
        </button>
      </div>
      <details>
        <summary>All picks</summary>
        <ul data-test="picks">
          ${[...picks.list].reverse().map((pick) => this.row(pick, ready))}
        </ul>
      </details>
    </div>`;
  }

  private key(event: KeyboardEvent): void {
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.sample();
    }
  }

  private sample(): void {
    const { picks } = this.workspace;
    const text = this.prompt.value.trim();
    if (!text) {
      this.prompt.focus();
      return;
    }
    const option = (id: string) =>
      Number((this.renderRoot.querySelector(`#${id}`) as HTMLInputElement).value);
    void picks.sample({
      prompt: text,
      maxNewTokens: Math.max(1, Math.round(option('pick-length') || 64)),
      temperature: option('pick-temperature'),
    });
  }

  /** Opens the picks as data and shows where the training starts. */
  private async use(objective: Objective): Promise<void> {
    const { picks } = this.workspace;
    await this.workspace.useData(picks.use(objective));
    showSection(this, 'data');
  }

  private row(pick: Pick, ready: boolean) {
    const better = pick.verdict === 'second' ? pick.answers[1] : pick.answers[0];
    return html`<li>
      <span>${pick.prompt} <span class="muted small">→ ${better.slice(0, 120)}</span></span>
      <span class="small">${WORDS[pick.verdict]}</span>
      <button class="plain" ?disabled=${!ready} @click=${() => this.workspace.picks.remove(pick)}>
        Delete
      </button>
    </li>`;
  }

  private save(name: string, rows: string): void {
    saveFile(this, name, new Blob([rows], { type: 'application/jsonl' }));
  }
}
