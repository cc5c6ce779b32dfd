import { css, html } from 'lit';
import { customElement } from 'lit/decorators.js';
import { duration, loss, plural } from '../words/format.js';
import { MAIN_FIELDS, MORE_FIELDS } from '../words/settings.js';
import type { Store } from '../stores/store.js';
import type { Strategy, SweptSetting } from '../../engine/index.js';
import { Milestones } from '../words/milestones.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

const SUGGESTED = [...MAIN_FIELDS, ...MORE_FIELDS]
  .map(({ path }) => path)
  .filter((path) => /^(method$|lora\.|train\.|data\.general_fraction)/.test(path))
  .filter((path) => path !== 'train.max_seq_length' && path !== 'train.seed');

/** Which settings to try with which values; how long that takes; how far it is. */
@customElement('sweep-panel')
export class SweepPanel extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .setting {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1.4fr) auto;
        gap: 8px;
        align-items: end;
        margin-bottom: 8px;
      }
      .setting label,
      .strategy label {
        display: block;
        margin-bottom: 4px;
      }
      .strategy {
        margin: 12px 0;
        max-width: 420px;
      }
      .help {
        margin: 5px 0 12px;
      }
      .row + p {
        margin-top: 10px;
      }
      input {
        font-family: var(--mono);
        font-size: 0.86rem;
      }
      @media (max-width: 640px) {
        .setting {
          grid-template-columns: minmax(0, 1fr);
          padding-bottom: 8px;
          border-bottom: 1px solid var(--line);
        }
      }
    `,
  ];

  private readonly milestones = new Milestones();

  protected override watched({ sweep, training, model, data, recipe }: Workspace): Store[] {
    return [sweep, training, model, data, recipe];
  }

  override render() {
    const { data, model, recipe, sweep, training } = this.workspace;
    const busy = sweep.state !== 'idle';
    const ready = model.open !== null && data.open !== null && recipe.loaded && recipe.valid;
    return html`<details data-test="sweep">
      <summary>Sweep: the same run with several values of a setting</summary>
      <p class="small muted help">
        Each combination of the values is one run; what is not listed is as in the settings. Runs are compared
        by their validation loss.
      </p>
      ${sweep.settings.map((setting, place) => this.setting(setting, place, busy))}
      <datalist id="suggested">${SUGGESTED.map((path) => html`<option value=${path}></option>`)}</datalist>
      <button
        ?disabled=${busy}
        data-test="sweep-add"
        @click=${() => this.put([...sweep.settings, { key: '', values: '' }])}
      >
        Another setting
      </button>
      <div class="strategy">
        <label for="strategy">Strategy</label>
        <select
          id="strategy"
          data-test="sweep-strategy"
          ?disabled=${busy}
          @change=${(event: Event) =>
            sweep.change({ strategy: (event.target as HTMLSelectElement).value as Strategy })}
        >
          <option value="grid" ?selected=${sweep.strategy === 'grid'}>Grid: every run to its end</option>
          <option value="halving" ?selected=${sweep.strategy === 'halving'}>
            Successive halving: the worse half is stopped early
          </option>
        </select>
      </div>
      <div class="row">
        <button
          data-test="sweep-estimate"
          ?disabled=${busy || !ready || training.active}
          @click=${() => sweep.estimate()}
        >
          Estimate the time
        </button>
        <button
          class="primary"
          data-test="sweep-start"
          ?disabled=${busy || !ready || training.active || sweep.plan === null}
          @click=${() => sweep.start()}
        >
          Start the sweep
        </button>
        <button data-test="sweep-stop" ?disabled=${sweep.state !== 'running'} @click=${() => sweep.stop()}>
          Stop
        </button>
      </div>
      <p class="small" data-test="sweep-status">${this.status(ready)}</p>
      <p class="visually-hidden" role="status">${this.told(this.status(ready))}</p>
      ${errorNotice(sweep.error, 'sweep-error')}
    </details>`;
  }

  private setting(setting: SweptSetting, place: number, busy: boolean) {
    const { sweep } = this.workspace;
    const change = (changes: Partial<SweptSetting>) =>
      this.put(sweep.settings.map((other, at) => (at === place ? { ...other, ...changes } : other)));
    const typed = (event: Event) => (event.target as HTMLInputElement).value;
    return html`<div class="setting">
      <div>
        <label for=${`key-${place}`}>Setting</label>
        <input
          id=${`key-${place}`}
          data-test="sweep-key"
          list="suggested"
          spellcheck="false"
          autocapitalize="off"
          .value=${setting.key}
          ?disabled=${busy}
          @change=${(event: Event) => change({ key: typed(event) })}
        />
      </div>
      <div>
        <label for=${`values-${place}`}>Values, with commas between</label>
        <input
          id=${`values-${place}`}
          data-test="sweep-values"
          spellcheck="false"
          .value=${setting.values}
          ?disabled=${busy}
          @change=${(event: Event) => change({ values: typed(event) })}
        />
      </div>
      <button
        aria-label=${`Remove ${setting.key || 'this setting'} from the sweep`}
        ?disabled=${busy || sweep.settings.length === 1}
        @click=${() => this.put(sweep.settings.filter((_, at) => at !== place))}
      >
        Remove
      </button>
    </div>`;
  }

  private put(settings: SweptSetting[]): void {
    const { sweep } = this.workspace;
    sweep.change({ settings });
  }

  /** The status as it is read out: not at every step. */
  private told(status: string): string {
    const { sweep } = this.workspace;
    const { progress, state } = sweep;
    const last = state === 'running' ? progress?.last : null;
    const topic = last ? `run ${progress?.run} ${progress?.rung}` : `${state} ${status}`;
    return this.milestones.tell(topic, last ? last.step / last.total_steps : 0, status);
  }

  private status(ready: boolean): string {
    const { sweep } = this.workspace;
    const { plan, progress, seconds } = sweep;
    switch (sweep.state) {
      case 'estimating':
        return 'Measuring two steps and a validation …';
      case 'stopping':
        return 'Stopping after this step …';
      case 'running': {
        if (!plan || !progress) return 'Starting …';
        const changes = plan.runs[progress.run]?.changes ?? [];
        const what = changes.map(({ key, value }) => `${key} ${JSON.stringify(value)}`).join(', ');
        const rungs = plan.rungs.length > 1 ? `, rung ${progress.rung + 1} of ${plan.rungs.length}` : '';
        const { last } = progress;
        const step = last ? `: step ${last.step} of ${last.total_steps}, loss ${loss(last.loss)}` : '';
        return `Run ${progress.run + 1} of ${plan.runs.length} (${what})${rungs}${step}.`;
      }
      case 'idle': {
        if (sweep.said) return sweep.said;
        if (!ready) return 'Choose a model and data first.';
        if (!plan || seconds === null) return 'Estimate the time first; it takes a few steps.';
        const rungs = plan.rungs
          .map(({ runs, share }) => `${runs} to ${Math.round(share * 100)} %`)
          .join(', then ');
        const how = plan.rungs.length > 1 ? ` (${rungs} of the steps)` : '';
        return `${plural(plan.runs.length, 'run')}${how}: about ${duration(seconds)}, by measured steps.`;
      }
    }
  }
}
