import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import '../charts/confusion-matrix.js';
import '../charts/loss-chart.js';
import { MITIGATIONS, forgetting, forgettingSentence } from '../words/forgetting.js';
import { bytes, capital, count, duration, figure, loss, plural, short } from '../words/format.js';
import { overfitting } from '../words/overfitting.js';
import type { Store } from '../stores/store.js';
import { evaluationFigures, stepFigures } from '../../engine/index.js';
import type { Figure, StepReport } from '../../engine/index.js';
import { Milestones } from '../words/milestones.js';
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
      .notice p {
        margin: 0 0 8px;
      }
      .tiles {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(118px, 1fr));
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
      }
      dl {
        margin: 0;
      }
    `,
  ];

  private readonly milestones = new Milestones();

  protected override watched({ training, model, data, recipe, trainer, ratings }: Workspace): Store[] {
    return [training, model, data, recipe, trainer, ratings];
  }

  override render() {
    const { training } = this.workspace;
    return html`
      <div class="row controls">${this.controls()}</div>
      <div role="status" class="small" data-test="train-status">${this.status()}</div>
      ${errorNotice(training.error, 'train-error')}
      <div role="status">
        ${training.unkept ? html`<p class="notice warn" data-test="run-unkept">${training.unkept}</p>` : nothing}
      </div>
      <ratings-panel></ratings-panel>
      ${training.plan ? this.run() : nothing} ${this.deviceLine()}
    `;
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

  private status(): string {
    const { data, model, ratings, recipe, training } = this.workspace;
    const step = training.last?.step ?? training.savedStep;
    if (training.state !== 'running') this.milestones.reset();
    if (ratings.waiting) return 'Waiting for your ratings below.';
    const saving = training.savesUnderWay > 0 ? ' Saving the run …' : '';
    switch (training.state) {
      case 'idle':
        if (!model.open) return 'Choose a model and data first.';
        if (!data.open) return 'Choose data first.';
        return recipe.valid ? 'Ready.' : 'A setting above needs correcting first.';
      case 'running':
        return this.progress();
      case 'pausing':
        return 'Pausing after this step …';
      case 'paused':
        if (step === 0) return 'Paused before the first step.';
        return `Paused at step ${step}${training.isKept ? '; a checkpoint is kept' : ''}.`;
      case 'stopping':
        return 'Stopping after this step …';
      case 'stopped':
        return `Stopped at step ${step}. The adapter is ready to try and to download.${saving}`;
      case 'finished':
        return `${finished(training.last)} Compare it below, then download it.${saving}`;
      case 'failed':
        return training.busy ? 'The trainer is being replaced …' : 'The run ended with an error.';
      default:
        return training.state satisfies never;
    }
  }

  /** Told now and then: a screen reader reads the status out whenever it changes. */
  private progress(): string {
    const { training } = this.workspace;
    const { last } = training;
    if (!last) {
      this.milestones.reset();
      return 'Training: the first step is the slowest.';
    }
    const { step, total_steps: total } = last;
    const left = `about ${duration(training.secondsLeft)} left`;
    const far = `Training: step ${step} of ${total}, ${left}.`;
    return this.milestones.tell('training', step / total, far);
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
    const gap = overfitting(reports);
    const forgot = forgetting(reports);
    return html`
      <progress max=${plan.total_steps} .value=${step} aria-label="Training"></progress>
      <dl class="tiles" data-test="tiles">
        ${tile('Step', `${count(step)} of ${count(plan.total_steps)}`)}
        ${hasLoss ? tile('Training loss', last ? loss(last.loss) : '–') : nothing}
        ${hasLoss ? tile('Validation loss', validation ? loss(validation.loss) : '–') : nothing}
        ${trained.map((shown) => figureTile('Training', shown))}
        ${scored.filter(isNotShownOfSteps).map((shown) => figureTile('Validation', shown))}
        ${forgot ? tile('Forgetting probe', `${loss(forgot.now)} (${signed(forgot.rise)})`) : nothing}
        ${tile('Tokens / s', last ? count(last.tokens_per_second) : '–')}
        ${tile('Time left', training.state === 'finished' ? '0 s' : duration(training.secondsLeft))}
        ${tile('Memory', memory ? bytes(memory.wasm_bytes + memory.helper_bytes + (memory.gpu_bytes ?? 0)) : '–')}
      </dl>
      ${gap ? html`<p class="notice warn" data-test="overfitting">${gap}</p>` : nothing}
      ${this.forgettingNotice()}
      <loss-chart .reports=${reports} .totalSteps=${plan.total_steps}></loss-chart>
      ${classes ? html`<confusion-matrix .metrics=${classes}></confusion-matrix>` : nothing}
      ${plan.notes.map((note) => html`<p class="notice warn">${sentence(note)}</p>`)}
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

/** How the run ended. */
function finished(last: StepReport | null): string {
  const restored = last?.restored_step ?? null;
  if (last?.note) return sentence(last.note);
  if (!last || restored === null) return 'Finished.';
  const early = last.step < last.total_steps ? `Stopped early at step ${last.step}.` : 'Finished.';
  return restored === last.step
    ? `${early} The last validation was the best.`
    : `${early} The adapter is that of step ${restored}, where the validation loss was lowest.`;
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

function tile(name: string, value: string) {
  return html`<div class="tile">
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}
