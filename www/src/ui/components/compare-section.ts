import { css, html, nothing } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import type { Side } from '../stores/compare.js';
import { percent } from '../words/format.js';
import type { Store } from '../stores/store.js';
import type { LabelProbability } from '../../engine/index.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** One prompt, two answers side by side. */
@customElement('compare-section')
export class CompareSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      textarea {
        min-height: 64px;
        resize: vertical;
      }
      .chips {
        margin: 8px 0;
      }
      .chips button {
        min-height: 32px;
        font-weight: 500;
        border-radius: 16px;
        line-height: 1.2;
        padding: 4px 12px;
        text-align: left;
      }
      .options {
        display: grid;
        grid-template-columns: 2fr 1fr 1fr;
        gap: 12px;
        margin: 4px 0 12px;
      }
      .options label {
        font-size: 0.84rem;
      }
      .strength {
        display: grid;
        grid-template-columns: auto minmax(80px, 240px) 3.5em;
        gap: 12px;
        align-items: center;
        margin-top: 14px;
      }
      .strength input {
        min-height: 24px;
        padding: 0;
        border: 0;
        accent-color: var(--accent);
      }
      .strength output {
        font-variant-numeric: tabular-nums;
      }
      .sides {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 14px;
        margin-top: 16px;
      }
      @media (max-width: 640px) {
        .sides,
        .options {
          grid-template-columns: minmax(0, 1fr);
        }
      }
      article {
        min-height: 132px;
        padding: 14px 16px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--sunken);
      }
      article.tuned {
        border-color: var(--accent);
        background: var(--accent-soft);
      }
      article h3 {
        display: flex;
        justify-content: space-between;
        gap: 8px;
      }
      .answer {
        margin: 0;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .running::after {
        content: '▍';
        color: var(--accent);
        animation: blink 1s steps(2) infinite;
      }
      .labels {
        display: grid;
        grid-template-columns: fit-content(40%) 1fr auto;
        gap: 6px 10px;
        align-items: center;
        margin: 0;
      }
      .labels dd {
        margin: 0;
        font-variant-numeric: tabular-nums;
      }
      .labels dt {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .labels .likeliest {
        font-weight: 700;
      }
      meter {
        width: 100%;
      }
      @keyframes blink {
        50% {
          opacity: 0;
        }
      }
    `,
  ];
  @query('#prompt') private prompt!: HTMLTextAreaElement;

  protected override watched({ compare, training, model, data, worth }: Workspace): Store[] {
    return [compare, training, model, data, worth];
  }

  override render() {
    const { compare, data, model, training, worth } = this.workspace;
    const ready = model.open !== null && model.busy === null;
    const prompts = data.open?.sample?.prompts ?? [];
    const judging = training.judges;
    const others = worth.busy ? 'It answers after the measurement.' : 'Answering …';
    const answering = !compare.busy ? '' : training.active ? 'Training goes on after the answers.' : others;
    return html`
      <label for="prompt">${judging === 'classify' ? 'Text' : 'Prompt'}</label>
      <textarea
        id="prompt"
        ?disabled=${!ready}
        placeholder=${judging === 'classify' ? 'A text to label' : 'Ask something your data teaches'}
        @keydown=${this.key}
      ></textarea>
      ${
        judging === 'reward'
          ? html`<label for="answer">Answer to judge</label>
              <textarea id="answer" ?disabled=${!ready} @keydown=${this.key}></textarea>`
          : nothing
      }
      <div class="row chips">
        ${prompts.map(
          (prompt) =>
            html`<button ?disabled=${!ready || compare.busy} @click=${() => this.ask(prompt)}>
              ${prompt}
            </button>`,
        )}
      </div>
      <details ?hidden=${judging !== null}>
        <summary>Options</summary>
        <div class="options">
          <div><label for="system">System prompt</label><input id="system" placeholder="none" /></div>
          <div>
            <label for="length">Most tokens</label><input id="length" inputmode="numeric" value="96" />
          </div>
          <div>
            <label for="temperature">Temperature</label
            ><input id="temperature" inputmode="decimal" value="0" />
          </div>
        </div>
      </details>
      <div class="row">
        <button
          class="primary"
          data-test="ask"
          ?disabled=${!ready || compare.busy}
          @click=${() => this.ask()}
        >
          ${judging ? 'Judge' : 'Answer'}${training.hasAdapter ? ' with both' : ''}
        </button>
        ${compare.busy ? html`<button @click=${() => compare.cancel()}>Stop</button>` : nothing}
        <span class="small muted" role="status"> ${answering} </span>
      </div>
      ${training.hasAdapter && judging === null ? this.strength() : nothing}
      ${errorNotice(compare.error, 'compare-error')}
      <div class="sides">
        ${this.side('base', judging ? 'Base, with an untrained head' : 'Base model', compare.base, 'Its answer appears here.')}
        ${this.side(
          'tuned',
          `${compare.tuned.step ? `Tuned, step ${compare.tuned.step}` : 'Tuned'}${compare.tuned.strength === 1 ? '' : `, × ${compare.tuned.strength.toFixed(1)}`}`,
          compare.tuned,
          training.hasAdapter ? 'Its answer appears here.' : 'Train some steps first.',
        )}
      </div>
    `;
  }

  /** The tuned answer follows it. */
  private strength() {
    const { compare } = this.workspace;
    const typed = (event: Event) => Number((event.target as HTMLInputElement).value);
    return html`<div class="strength">
      <label for="strength">Adapter strength</label>
      <input
        id="strength"
        type="range"
        min="0"
        max="2"
        step="0.1"
        .value=${String(compare.strength)}
        data-test="strength"
        @change=${(event: Event) => void compare.changeStrength(typed(event))}
      />
      <output for="strength">× ${compare.strength.toFixed(1)}</output>
    </div>`;
  }

  private side(name: string, title: string, side: Side, empty: string) {
    const { report } = side;
    const pace =
      report && report.stopped !== 'judged' && report.seconds > 0
        ? `${(report.tokens / report.seconds).toFixed(1)} tokens/s`
        : '';
    return html`<article class=${name} aria-busy=${side.running}>
      <h3><span>${title}</span><span class="muted small">${pace}</span></h3>
      ${
        report && report.labels.length > 0
          ? labelBars(name, report.labels)
          : side.text || side.running
            ? html`<p
                class=${side.running ? 'answer running' : 'answer'}
                data-test=${`answer-${name}`}
                .textContent=${side.text.trimStart()}
              ></p>`
            : html`<p class="muted">${report ? 'It said nothing.' : empty}</p>`
      }
      ${report?.stopped === 'length' ? html`<p class="muted small">Cut at the most tokens allowed.</p>` : nothing}
    </article>`;
  }

  private key(event: KeyboardEvent): void {
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.ask();
    }
  }

  private ask(prompt?: string): void {
    const { compare } = this.workspace;
    if (prompt !== undefined) this.prompt.value = prompt;
    const text = this.prompt.value.trim();
    if (!text) {
      this.prompt.focus();
      return;
    }
    const option = (id: string) => (this.renderRoot.querySelector(`#${id}`) as HTMLInputElement).value;
    void compare.ask({
      prompt: text,
      system: option('system'),
      maxNewTokens: Math.max(1, Math.round(Number(option('length')) || 96)),
      temperature: Number(option('temperature')),
      answer: (this.renderRoot.querySelector('#answer') as HTMLTextAreaElement | null)?.value.trim() ?? '',
    });
  }
}

/** A classifier's answer: the likeliest labels with their probabilities. */
function labelBars(side: string, labels: LabelProbability[]) {
  const shown = [...labels].sort((a, b) => b.probability - a.probability).slice(0, 8);
  return html`<dl class="labels" data-test=${`labels-${side}`}>
    ${shown.map(
      ({ label, probability }, index) =>
        html`<dt class=${index === 0 ? 'likeliest' : ''} data-test=${index === 0 ? `answer-${side}` : ''}>
            ${label}
          </dt>
          <dd><meter max="1" .value=${probability} aria-hidden="true"></meter></dd>
          <dd>${percent(probability)}</dd>`,
    )}
  </dl>`;
}
