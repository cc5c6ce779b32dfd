import { LitElement, css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '../../ui/charts/loss-chart.js';
import '../../ui/charts/runs-chart.js';
import { runColor } from '../../ui/charts/theme.js';
import type { StepReport } from '../../engine/index.js';
import '../../ui/components/ratings-panel.js';
import { shared } from '../../ui/styles.js';
import type { Lab } from '../lab.js';
import { outcome, fill, type Evidence, type Fields, type Outcome, type View } from '../lesson.js';
import type { Words } from '../words/words.js';
import './answer-list.js';
import './judged-strip.js';
import './judged-text.js';
import './next-tokens.js';

/** What the model does, and what it did: the views of a step. */
@customElement('live-part')
export class LivePart extends LitElement {
  static override styles = [
    shared,
    css`
      h3 {
        margin: 0 0 10px;
        font-size: 0.92rem;
      }
      .view + .view {
        margin-top: 22px;
        padding-top: 18px;
        border-top: 1px solid var(--line);
      }
      .several {
        display: grid;
        gap: 22px 28px;
      }
      .bars {
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 230px), 1fr));
      }
      .nothing {
        display: grid;
        place-items: center;
        min-height: 220px;
        margin: 0;
        color: var(--muted);
        text-align: center;
      }
      .mine {
        margin: 0 0 12px;
        font: 1.05rem/1.6 var(--mono);
        overflow-wrap: anywhere;
      }
      .mine b {
        color: var(--accent);
      }
    `,
  ];
  @property({ attribute: false }) views: View[] = [];
  /** What is known of them; empty before the step is done. */
  @property({ attribute: false }) evidence: Evidence = {};
  @property({ attribute: false }) lab!: Lab;
  /** The reports of a run that goes on now, by the name of its action. */
  @property({ attribute: false }) running: {
    name: string;
    reports: StepReport[];
    totalSteps: number;
  } | null = null;
  @property({ attribute: false }) words!: Words;
  @property({ attribute: false }) captions: Record<string, string> = {};
  @property({ attribute: false }) fields: Fields = {};

  override render() {
    const shown = this.views.map((view) => this.view(view)).filter((view) => view !== nothing);
    return shown.length > 0 ? shown : html`<p class="nothing">${this.words.lesson.nothingYet}</p>`;
  }

  private view(view: View) {
    switch (view.kind) {
      case 'tokens':
        return this.each(
          view.names,
          (found) =>
            found.kind === 'tokens'
              ? html`<next-tokens .tokens=${found.next} .others=${this.words.live.otherPieces}></next-tokens>`
              : nothing,
          view.names.length > 1 ? 'bars' : '',
        );
      case 'texts':
        return this.each(view.names, (found) =>
          found.kind === 'answers'
            ? html`<answer-list
                .answers=${found.answers}
                ?bare=${found.answers.every(({ prompt, text }) => text.startsWith(prompt))}
              ></answer-list>`
            : nothing,
        );
      case 'answers': {
        const { inStyle: style, isRight: right, neither } = this.words.live;
        return this.each(view.names, (found) =>
          found.kind === 'answers'
            ? html`<answer-list
                .answers=${found.answers}
                .marks=${found.answers.map((answer) => view.marks(answer, this.fields))}
                .words=${{ style, right, neither }}
              ></answer-list>`
            : nothing,
        );
      }
      case 'judged':
        return this.each(view.names, (found) =>
          found.kind === 'judged'
            ? html`<judged-text
                .tokens=${found.texts[view.text]?.tokens ?? []}
                .surprises=${this.words.live.surprises}
              ></judged-text>`
            : nothing,
        );
      case 'strip':
        return this.each(view.names, (found) =>
          found.kind === 'judged'
            ? html`<judged-strip .texts=${found.texts} .words=${this.words.live}></judged-strip>`
            : nothing,
        );
      case 'curve':
        return this.curve(view.name);
      case 'curves':
        return this.curves(view.names);
      case 'compose':
        return this.compose(view.name);
      case 'ratings': {
        const { ratings } = this.lab.workspace;
        return ratings.waiting
          ? html`<div class="view">${this.caption(view.name)}<ratings-panel></ratings-panel></div>`
          : this.curve(view.name);
      }
    }
  }

  private each(names: string[], draw: (found: Outcome) => unknown, layout = '') {
    const found = names.flatMap((name) => {
      const one = this.evidence[name];
      return one ? [html`<div>${this.caption(name)} ${draw(one)}</div>`] : [];
    });
    return found.length > 0 ? html`<div class=${`view several ${layout}`}>${found}</div>` : nothing;
  }

  private curve(name: string) {
    const run = this.runOf(name);
    if (!run || run.reports.length === 0) return nothing;
    return html`<div class="view" data-test="curve">
      ${this.caption(name)}
      <loss-chart .reports=${run.reports} .totalSteps=${run.totalSteps}></loss-chart>
    </div>`;
  }

  private curves(names: string[]) {
    const runs = names.flatMap((name, place) => {
      const run = this.runOf(name);
      if (!run || run.reports.length === 0) return [];
      const points = run.reports.map(({ step, loss, evaluation }) => ({
        step,
        loss,
        validation: evaluation?.loss ?? null,
      }));
      return [{ name: this.captions[`${name} short`] ?? name, color: runColor(place), points }];
    });
    if (runs.length === 0) return nothing;
    return html`<div class="view" data-test="curve"><runs-chart .curves=${runs}></runs-chart></div>`;
  }

  private compose(name: string) {
    const { composing } = this.lab;
    const found = this.evidence[name];
    if (composing) {
      const { start, text, next, ranks, pieces } = composing;
      const step = fill(this.words.live.pick, { step: String(ranks.length + 1), steps: String(pieces) });
      return html`<div class="view">
        <h3>${this.words.live.picked}</h3>
        <p class="mine" data-test="composing">${start}<b>${text.slice(start.length)}</b> …</p>
        <h3 role="status">${step}</h3>
        <next-tokens
          pick
          .tokens=${next}
          @choose=${(event: CustomEvent<number>) => this.lab.choose(event.detail)}
        ></next-tokens>
      </div>`;
    }
    if (!found) return nothing;
    const { start, text } = outcome(this.evidence, name, 'composed');
    return html`<div class="view">
      ${this.caption(name)}
      <p class="mine" data-test="composed">${start}<b>${text.slice(start.length)}</b></p>
    </div>`;
  }

  /** Live while it goes on. */
  private runOf(name: string) {
    if (this.running?.name === name) return this.running;
    const found = this.evidence[name];
    return found?.kind === 'run' ? found : null;
  }

  private caption(name: string) {
    const caption = this.captions[name];
    return caption ? html`<h3>${fill(caption, this.fields)}</h3>` : nothing;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'live-part': LivePart;
  }
}
