import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import '../ui/charts/curve-chart.js';
import type { Store } from '../ui/stores/store.js';
import { forgettingSentence } from '../ui/words/forgetting.js';
import { overfitting } from '../ui/words/overfitting.js';
import { sentence } from '../ui/words/sentence.js';
import { WorkspaceElement } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';
import { controls } from './styles.js';
import { wordsIn } from './words.js';

/** The run of an element: its chart, and what is to be said of it. */
export class TrainView extends WorkspaceElement {
  static override styles = [
    controls,
    css`
      .notice {
        margin-top: 0.75em;
      }
    `,
  ];
  @property() language = 'en';

  protected override watched({ training, ratings }: Workspace): Store[] {
    return [training, ratings];
  }

  override render() {
    const { training, ratings } = this.workspace;
    const { plan, reports } = training;
    // Few runs ask a person.
    if (ratings.waiting) void import('../ui/components/ratings-panel.js');
    const said = [overfitting(reports), forgettingSentence(reports)].filter((words) => words !== null);
    const words = wordsIn(this.language);
    const steps = plan?.total_steps ?? 0;
    return html`
      <loralet-chart
        part="chart"
        .reports=${reports}
        .totalSteps=${steps}
        .empty=${words.chart}
        .names=${words.chartNames}
      ></loralet-chart>
      ${ratings.waiting ? html`<ratings-panel lang="en"></ratings-panel>` : nothing}
      <div role="status" lang="en">
        ${said.map((text) => html`<p class="notice warn">${text}</p>`)}
        ${plan?.notes.map((note) => html`<p class="notice">${sentence(note)}</p>`) ?? nothing}
      </div>
    `;
  }
}

if (!customElements.get('loralet-train-view')) customElements.define('loralet-train-view', TrainView);

declare global {
  interface HTMLElementTagNameMap {
    'loralet-train-view': TrainView;
  }
}
