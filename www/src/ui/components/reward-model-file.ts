import { css, html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import type { Store } from '../stores/store.js';
import { errorNotice } from './error-notice.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** The reward model for GRPO: from files, or the one that was just trained. */
@customElement('reward-model-file')
export class RewardModelFile extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      h3 {
        margin: 18px 0 4px;
        font-size: 0.9rem;
      }
      p {
        margin: 0 0 8px;
      }
    `,
  ];

  protected override watched({ rewardModel, model, training }: Workspace): Store[] {
    return [rewardModel, model, training];
  }

  override render() {
    const { model, rewardModel, training } = this.workspace;
    const disabled = model.open === null || training.active;
    const trained = training.hasAdapter && training.plan?.recipe.objective === 'reward';
    return html`
      <h3>Reward answers by a reward model</h3>
      <p class="small muted" data-test="reward-model-summary">
        ${
          rewardModel.open
            ? html`<b>${rewardModel.open.name}</b> is asked for rewards from the next run with GRPO on.`
            : 'GRPO can ask an adapter that was trained on this model with the objective Reward model: its zip, or its files.'
        }
      </p>
      <div class="row">
        <button ?disabled=${disabled} @click=${() => this.input.click()}>Choose files</button>
        ${
          trained
            ? html`<button
                data-test="reward-model-keep"
                ?disabled=${disabled}
                @click=${() => rewardModel.keepTrained()}
              >
                Use the one trained here
              </button>`
            : nothing
        }
        ${
          rewardModel.open
            ? html`<button
                data-test="reward-model-close"
                ?disabled=${disabled}
                @click=${() => rewardModel.close()}
              >
                Leave it out
              </button>`
            : nothing
        }
      </div>
      <input
        hidden
        multiple
        type="file"
        name="reward-model"
        aria-label="The adapter of a reward model"
        accept=".zip,.json,.safetensors"
        @change=${this.chosen}
      />
      ${errorNotice(rewardModel.error, 'reward-model-error')}
    `;
  }

  private get input(): HTMLInputElement {
    return this.renderRoot.querySelector('input[name=reward-model]') as HTMLInputElement;
  }

  private async chosen(): Promise<void> {
    const { rewardModel } = this.workspace;
    const files = [...(this.input.files ?? [])];
    if (files.length > 0) await rewardModel.openFiles(files);
    this.input.value = '';
  }
}
