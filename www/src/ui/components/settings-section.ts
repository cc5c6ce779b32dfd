import { css, html } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { MAIN_FIELDS, MORE_FIELDS } from '../words/settings.js';
import type { Store } from '../stores/store.js';
import './probe-file.js';
import './reward-model-file.js';
import './setting-field.js';
import { errorNotice } from './error-notice.js';
import { problem, type Problem } from '../problem.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

/** The recipe as fields, and as JSON to copy or paste. */
@customElement('settings-section')
export class SettingsSection extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      .fields {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(250px, 1fr));
        gap: 18px 24px;
      }
      .lesson {
        margin-top: 14px;
      }
      details {
        margin-top: 16px;
        border-top: 1px solid var(--line);
        padding-top: 8px;
      }
      details .fields {
        margin-top: 10px;
      }
      textarea {
        min-height: 260px;
        margin: 6px 0 8px;
        font: 0.82rem/1.5 var(--mono);
      }
    `,
  ];
  @state() private jsonError: Problem | null = null;
  @state() private said = '';

  protected override watched({ recipe, training, lesson }: Workspace): Store[] {
    return [recipe, training, lesson];
  }

  override render() {
    const { recipe, training } = this.workspace;
    if (!recipe.loaded) return html`<p class="muted">The trainer is starting …</p>`;
    const fields = (list: typeof MAIN_FIELDS) =>
      html`<div class="fields">
        ${list.map((field) => html`<setting-field .field=${field} ?disabled=${training.active}></setting-field>`)}
      </div>`;
    return html`
      ${fields(MAIN_FIELDS)} ${this.lesson()} ${errorNotice(recipe.errors[''], 'settings-error')}
      <details data-test="more-settings">
        <summary>More settings</summary>
        ${fields(MORE_FIELDS)}
        <probe-file></probe-file>
        <reward-model-file></reward-model-file>
      </details>
      <details data-test="recipe">
        <summary>Recipe as JSON</summary>
        <label for="json" class="visually-hidden">Recipe as JSON</label>
        <textarea id="json" spellcheck="false" .value=${JSON.stringify(recipe.value, null, 2)}></textarea>
        <div class="row">
          <button @click=${this.copy}>Copy</button>
          <button data-test="apply-recipe" ?disabled=${training.active} @click=${this.apply}>
            Use this JSON
          </button>
          <span class="small muted" role="status">${this.said}</span>
        </div>
        ${errorNotice(this.jsonError, 'recipe-error')}
      </details>
    `;
  }

  /** For showing in class what one otherwise avoids. */
  private lesson() {
    const { training, lesson } = this.workspace;
    return html`<div class="lesson row">
      ${
        lesson.before
          ? html`<button data-test="overfit-undo" ?disabled=${training.active} @click=${() => lesson.undo()}>
              Back to the settings before
            </button>`
          : html`<button data-test="overfit" ?disabled=${training.active} @click=${() => lesson.overfit()}>
              Make it overfit
            </button>`
      }
      <span class="small muted">
        ${
          lesson.before
            ? 'Set to overfit: start, and watch the validation loss turn while the training loss goes on falling.'
            : 'For lessons: few rows, many epochs and a high rank, so that the model learns its rows by heart.'
        }
      </span>
    </div>`;
  }

  private get json(): string {
    return (this.renderRoot.querySelector('#json') as HTMLTextAreaElement).value;
  }

  private async copy(): Promise<void> {
    await navigator.clipboard.writeText(this.json).then(
      () => (this.said = 'Copied.'),
      () => (this.said = 'The browser did not allow it; select the text and copy it.'),
    );
  }

  private async apply(): Promise<void> {
    const { recipe } = this.workspace;
    this.jsonError = null;
    this.said = '';
    try {
      await recipe.replace(this.json);
      this.said = 'In use.';
    } catch (error) {
      this.jsonError = problem(error);
    }
  }
}
