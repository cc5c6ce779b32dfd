import { css, html, nothing, type TemplateResult } from 'lit';
import { customElement } from 'lit/decorators.js';
import '../charts/confusion-matrix.js';
import '../charts/loss-chart.js';
import { MITIGATIONS, forgetting, forgettingSentence } from '../words/forgetting.js';
import { bytes, capital, count, duration, figure, loss, plural, short } from '../words/format.js';
import { overfitting } from '../words/overfitting.js';
import type { Store } from '../stores/store.js';
import { evaluationFigures, stepFigures } from '../../engine/index.js';
import type { Figure, Plan } from '../../engine/index.js';
import { learning } from '../words/learning.js';
import { RunStatus } from '../words/run-status.js';
import './ratings-panel.js';
import { sentence } from '../words/sentence.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** Start, pause, step, stop; the chart; the figures. */
@customElement('train-section')
export class TrainSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      progress {
        margin-top: 8px;
      }
      .controls {
        margin-bottom: 14px;
      }
      .controls button {
        min-width: 84px;
      }
      @media (max-width: 640px) {
        .controls button {
          flex: 1 1 auto;
          min-width: 0;
          padding: 0 8px;
        }
      }
      .status {
        min-height: 3.1em;
        font-size: 0.94rem;
      }
      .gains {
        min-height: 1.55em;
        margin: 8px 0;
        font-weight: 600;
      }
      @media (max-width: 640px) {
        .status {
          min-height: 4.65em;
        }
      }
      .notice p {
        margin: 0 0 8px;
      }
      .tiles {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(136px, 1fr));
        gap: 8px;
        margin: 14px 0;
      }
      .tile {
        padding: 10px 12px;
        border-radius: 8px;
        background: var(--sunken);
      }
      .tile dt {
        color: var(--muted);
        font-size: 0.8rem;
      }
      .tile dd {
        margin: 0;
        font-weight: 650;
        font-size: 1.08rem;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      .tile small {
        font-weight: 500;
        font-size: 0.82rem;
      }
      dl {
        margin: 0;
      }
    `,
  ];

  private readonly status = new RunStatus();
  /** The plan of the run whose curve is drawn. */
  private drawn: Plan | null = null;

  protected override watched({ training, model, data, recipe, trainer, ratings }: Workspace): Store[] {
    return [training, model, data, recipe, trainer, ratings];
  }

  override render() {
    const { training } = this.workspace;
    return html`
      <div class="row controls">${this.controls()}</div>
      <div role="status" class="status" data-test="train-status">${this.status.tell(this.workspace)}</div>
      ${this.deviceLine()} ${errorNotice(training.error, 'train-error')}
      <ratings-panel></ratings-panel>
      ${training.plan ? this.run() : nothing}
      <div role="status">
        ${training.unkept ? html`<p class="notice warn" data-test="run-unkept">${training.unkept}</p>` : nothing}
      </div>
    `;
  }

  /** A new run's curve comes into sight. */
  protected override updated(): void {
    const { plan } = this.workspace.training;
    if (plan === this.drawn) return;
    this.drawn = plan;
    const chart = this.renderRoot.querySelector('loss-chart');
    if (chart?.checkVisibility()) chart.scrollIntoView({ block: 'nearest' });
  }

  private controls() {
    const { data, model, recipe, training } = this.workspace;
    const { state } = training;
    const ready =
      model.open !== null && data.open !== null && recipe.loaded && recipe.valid && !training.busy;
    const paused = state === 'paused';
    const running = state === 'running';
    return html`
      ${
        paused
          ? html`<button
              class="primary"
              data-test="continue"
              ?disabled=${training.busy}
              @click=${() => training.resume()}
            >
              Continue
            </button>`
          : html`<button
              class="primary"
              data-test="start"
              ?disabled=${!ready || training.active}
              @click=${() => training.start()}
            >
              ${training.reports.length > 0 && !training.active ? 'Start anew' : 'Start'}
            </button>`
      }
      <button data-test="pause" ?disabled=${!running || training.busy} @click=${() => training.pause()}>
        Pause
      </button>
      <button
        data-test="step"
        title="One step, then wait"
        ?disabled=${!(paused || (ready && state === 'idle')) || training.busy}
        @click=${() => training.step()}
      >
        Step
      </button>
      <button
        data-test="stop"
        ?disabled=${!(running || paused) || training.busy}
        @click=${() => training.stop()}
      >
        Stop
      </button>
    `;
  }

  private run() {
    const { training } = this.workspace;
    const { plan, last, reports, memory } = training;
    if (!plan) return nothing;
    const validation = reports.findLast((report) => report.evaluation !== null)?.evaluation;
    const classes = validation?.classification;
    const trained = last ? stepFigures(last) : [];
    const scored = validation ? evaluationFigures(validation) : [];
    // Where an objective is about something else, its loss says nothing.
    const hasLoss = !trained.some(({ rank }) => rank === 'loss');
    const step = last?.step ?? 0;
    const figures = [
      ...trained.map((shown) => figureTile('Training', shown)),
      ...scored.filter(isNotShownOfSteps).map((shown) => figureTile('Validation', shown)),
    ];
    const gap = overfitting(reports);
    const forgot = forgetting(reports);
    const gains = learning(reports);
    // What is added as the run goes on stands at the end, so that nothing moves.
    return html`
      <progress max=${plan.total_steps} .value=${step} aria-label="Training"></progress>
      <loss-chart .reports=${reports} .totalSteps=${plan.total_steps}></loss-chart>
      <p class="gains" data-test="learning">${gains ? `The model ${gains}.` : ''}</p>
      ${this.planned(plan)}
      <dl class="tiles" data-test="tiles">
        ${tile('Step', `${count(step)} of ${count(plan.total_steps)}`)}
        ${hasLoss ? tile('Training loss', last ? loss(last.loss) : '–') : nothing}
        ${hasLoss ? tile('Validation loss', validation ? loss(validation.loss) : '–') : figures}
        ${
          plan.probe || forgot
            ? tile(
                'Forgetting probe',
                forgot ? html`${loss(forgot.now)} <small>(${signed(forgot.rise)})</small>` : '–',
              )
            : nothing
        }
        ${tile('Tokens / s', last ? count(last.tokens_per_second) : '–')}
        ${tile('Time left', training.state === 'finished' ? '0 s' : duration(training.secondsLeft))}
        ${tile('Memory', memory ? bytes(memory.wasm_bytes + memory.helper_bytes + (memory.gpu_bytes ?? 0)) : '–')}
        ${hasLoss ? figures : nothing}
      </dl>
      ${gap ? html`<p class="notice warn" data-test="overfitting">${gap}</p>` : nothing}
      ${this.forgettingNotice()}
      ${classes ? html`<confusion-matrix .metrics=${classes}></confusion-matrix>` : nothing}
    `;
  }

  private planned(plan: Plan) {
    return html`
      <p class="small muted">
        ${short(plan.trainable_parameters)} of ${short(plan.total_parameters)} parameters are trained, on
        ${count(plan.train_examples)} rows; ${count(plan.validation_examples)} are held out for validation.
        ${
          plan.memory.total > 0
            ? html`About ${bytes(plan.memory.total)} of memory are expected, ${bytes(plan.memory.weights)} of
              it for the
              model${plan.memory.gradient_checkpointing ? ', with blocks computed again in the backward pass' : ''}.`
            : nothing
        }
        ${plan.probe ? html`Forgetting is measured by ${plan.probe.name} (${plural(plan.probe.tokens, 'token')}).` : nothing}
      </p>
      ${plan.notes.map((note) => html`<p class="notice warn">${sentence(note)}</p>`)}
    `;
  }

  /** Says that general text is being forgotten, and offers what helps, for the next run. */
  private forgettingNotice() {
    const { recipe, training } = this.workspace;
    const said = forgettingSentence(training.reports);
    if (!said) return nothing;
    const apply = (settings: Record<string, number>) => {
      for (const [path, value] of Object.entries(settings)) recipe.set(path, value);
    };
    return html`<div class="notice warn" data-test="forgetting">
      <p>${said} For the next run:</p>
      <div class="row">
        ${MITIGATIONS.map(
          ({ label, settings }) =>
            html`<button
              ?disabled=${training.active}
              @click=${() => apply(settings((path) => recipe.get(path)))}
            >
              ${label}
            </button>`,
        )}
      </div>
    </div>`;
  }

  private deviceLine() {
    const { trainer } = this.workspace;
    const { device } = trainer;
    if (!device) return nothing;
    return html`<p class="small muted" data-test="device">${device.reason} (${device.name}).</p>`;
  }
}

function signed(rise: number): string {
  return `${rise < 0 ? '−' : '+'}${loss(Math.abs(rise))}`;
}

/** A detail that steps have too is shown of the latest step alone. */
function isNotShownOfSteps({ rank, everywhere }: Figure): boolean {
  return !(everywhere && rank === 'detail');
}

function figureTile(of: string, shown: Figure) {
  const both = shown.everywhere && shown.rank !== 'detail';
  return tile(both ? `${of} ${shown.name}` : capital(shown.name), figure(shown));
}

function tile(name: string, value: string | TemplateResult) {
  return html`<div class="tile">
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}
