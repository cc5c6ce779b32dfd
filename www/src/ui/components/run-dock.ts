import { css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '../charts/curve-chart.js';
import type { Plan } from '../../engine/index.js';
import type { Store } from '../stores/store.js';
import { shared } from '../styles.js';
import { capital, count, duration } from '../words/format.js';
import { learning } from '../words/learning.js';
import { RunStatus, runWord } from '../words/run-status.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';
import { showSection } from './show-section.js';

/**
 * The run beside whatever else is looked at: how far it is, whether it learns, and what can be done with it. A card where there
 * is room for one, else a strip. Fires `show-section`.
 */
@customElement('run-dock')
export class RunDock extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .dock {
        display: grid;
        gap: 12px;
        padding: 16px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--card);
      }
      h2,
      p {
        margin: 0;
      }
      h2 {
        overflow: hidden;
        font-size: 0.94rem;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      /* What grows stands at the left of a column of its own, so that nothing moves. */
      .far {
        display: grid;
        grid-template-columns: 1.3fr 1fr;
        gap: 0 10px;
        font-variant-numeric: tabular-nums;
      }
      .word {
        min-height: 1.55em;
        font-weight: 600;
        font-size: 0.92rem;
      }
      .row button {
        flex: 1 1 auto;
        padding: 0 10px;
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
        font-size: 0.9rem;
      }
      li {
        display: flex;
        justify-content: space-between;
        gap: 12px;
        padding: 3px 0;
      }
      li span:last-child {
        overflow: hidden;
        color: var(--muted);
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      @media (max-width: 1099px) {
        :host {
          position: relative;
          display: grid;
          align-items: center;
          height: 100%;
        }
        .dock {
          grid-template-columns: minmax(0, 1fr) auto;
          gap: 0 12px;
          align-items: center;
          width: 100%;
          max-width: 920px;
          margin: 0 auto;
          padding: 0 16px;
          border: 0;
          border-radius: 0;
          background: none;
        }
        .dock.empty,
        .card {
          display: none;
        }
        progress {
          position: absolute;
          inset: 0 0 auto;
          height: 3px;
          border-radius: 0;
        }
        .line {
          display: flex;
          flex-wrap: wrap;
          gap: 0 12px;
          align-items: baseline;
          min-width: 0;
          font-size: 0.86rem;
          line-height: 1.3;
        }
        .far {
          grid-template-columns: 8.5em 6.5em;
          white-space: nowrap;
        }
        .word {
          min-height: 0;
          overflow: hidden;
          font-size: 0.86rem;
          text-overflow: ellipsis;
          white-space: nowrap;
        }
        .row {
          flex-wrap: nowrap;
          gap: 6px;
        }
      }
      @media (min-width: 1100px) {
        .line {
          display: grid;
          gap: 6px;
        }
      }
      @media (max-width: 480px) {
        .more {
          display: none;
        }
        .dock {
          padding: 0 10px;
        }
      }
    `,
  ];
  /** The run is told and drawn beside it already. */
  @property({ type: Boolean }) quiet = false;
  private readonly status = new RunStatus();

  protected override watched({ training, model, data, recipe, ratings }: Workspace): Store[] {
    return [training, model, data, recipe, ratings];
  }

  override render() {
    const { data, model, training } = this.workspace;
    if (training.plan) return this.run();
    return data.open && model.open && !training.active ? this.ready() : this.empty();
  }

  private run() {
    const { data, ratings, training } = this.workspace;
    const { last, plan, reports, state } = training;
    if (!plan) return nothing;
    const ended = state === 'finished' || state === 'stopped' || state === 'failed';
    const step = last?.step ?? 0;
    const gains = learning(reports);
    const word = ratings.waiting ? 'waits for you' : ended || state === 'paused' ? runWord(training) : gains;
    return html`<div class="dock" data-test="dock">
      <div class="card">
        <h2>${data.open?.sample?.label ?? data.open?.name}</h2>
        <p class="small muted">${trained(plan)}</p>
      </div>
      ${
        this.quiet
          ? nothing
          : html`<loralet-chart
              class="card"
              .reports=${reports}
              .totalSteps=${plan.total_steps}
            ></loralet-chart>`
      }
      <progress max=${plan.total_steps} .value=${step} aria-label="The run"></progress>
      <div class="line">
        <p class="far">
          <span data-test="dock-step">Step ${count(step)} of ${count(plan.total_steps)}</span>
          <span class="muted"
            >${ended || state === 'paused' ? '' : `${duration(training.secondsLeft)} left`}</span
          >
        </p>
        <p class="word" data-test="dock-word">
          ${gains && word === gains ? `It ${gains}` : capital(word ?? '')}
        </p>
      </div>
      <div class="row">${ended ? this.whatNext() : this.controls()}</div>
      <p class="visually-hidden" role=${this.quiet ? nothing : 'status'}>
        ${this.status.tell(this.workspace)}
      </p>
    </div>`;
  }

  private controls() {
    const { training } = this.workspace;
    const { busy, state } = training;
    return html`
      ${
        state === 'paused'
          ? html`<button
              class="primary"
              data-test="dock-continue"
              ?disabled=${busy}
              @click=${() => training.resume()}
            >
              Continue
            </button>`
          : html`<button
              data-test="dock-pause"
              ?disabled=${state !== 'running' || busy}
              @click=${() => training.pause()}
            >
              Pause
            </button>`
      }
      <button
        class="more"
        data-test="dock-step-once"
        title="One step, then wait"
        ?disabled=${state !== 'paused' || busy}
        @click=${() => training.step()}
      >
        Step
      </button>
      <button
        data-test="dock-stop"
        ?disabled=${!(state === 'running' || state === 'paused') || busy}
        @click=${() => training.stop()}
      >
        Stop
      </button>
    `;
  }

  private whatNext() {
    const { training } = this.workspace;
    return html`
      <button class="primary" ?disabled=${!training.hasAdapter} @click=${() => showSection(this, 'try')}>
        Try it
      </button>
      <button class="more" ?disabled=${!training.hasAdapter} @click=${() => showSection(this, 'export')}>
        Export it
      </button>
    `;
  }

  private ready() {
    const { data, model, recipe, training } = this.workspace;
    const can = recipe.loaded && recipe.valid && !training.busy;
    return html`<div class="dock" data-test="dock">
      <h2 class="card">Ready to train</h2>
      <ul class="card">
        <li><span>Data</span><span>${data.open?.name}</span></li>
        <li><span>Model</span><span>${model.open?.label.split(',')[0]}</span></li>
      </ul>
      <div class="line"><p class="word">${can ? 'Ready' : 'A setting needs correcting'}</p></div>
      <div class="row">
        <button class="primary" data-test="dock-start" ?disabled=${!can} @click=${() => this.start()}>
          Start
        </button>
      </div>
    </div>`;
  }

  private empty() {
    const { data, training } = this.workspace;
    const [next, words] =
      data.open || data.waiting ? ['model', 'Next: choose a model'] : ['data', 'First: choose data'];
    return html`<div class="dock empty" data-test="dock">
      <h2>Your run</h2>
      <p class="small muted">
        ${
          training.active
            ? 'A sweep is training; it says how far it is where it was started.'
            : 'Once it trains, the run stays here: its loss, the time left, and a way to pause or stop it.'
        }
      </p>
      <div class="row">
        ${
          training.active
            ? html`<button @click=${() => showSection(this, 'runs')}>Look at the sweep</button>`
            : html`<button @click=${() => showSection(this, next)}>${words}</button>`
        }
      </div>
    </div>`;
  }

  private start(): void {
    showSection(this, 'train');
    void this.workspace.training.start();
  }
}

function trained({ recipe }: Plan): string {
  switch (recipe.method) {
    case 'lora':
      return `LoRA ${recipe.lora.rank}`;
    case 'last_layer':
      return 'last layer';
    case 'full':
      return 'every weight';
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'run-dock': RunDock;
  }
}
