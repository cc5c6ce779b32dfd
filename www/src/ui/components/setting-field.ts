import { css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Field } from '../words/settings.js';
import type { Store } from '../stores/store.js';
import { shared } from '../styles.js';
import { WorkspaceElement } from '../workspace-element.js';
import type { Workspace } from '../workspace.js';

type Mapping = Record<string, string | null>;

/** PEFT’s word, which the recipe has too. */
const ALL_LINEAR = 'all-linear';

/** One setting: label, value, one sentence, and what is wrong with the value. */
@customElement('setting-field')
export class SettingField extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      label {
        display: block;
        margin-bottom: 4px;
      }
      .help {
        margin: 5px 0 0;
        color: var(--muted);
        font-size: 0.84rem;
        line-height: 1.45;
      }
      .problem {
        margin: 5px 0 0;
        color: var(--bad);
        font-size: 0.86rem;
        font-weight: 600;
      }
      .toggle {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: 36px;
      }
      .toggle label {
        margin: 0;
      }
      fieldset {
        margin: 0;
        padding: 0;
        border: 0;
      }
      legend {
        padding: 0;
        font-weight: 600;
        font-size: 0.9rem;
      }
      .modules {
        display: flex;
        flex-wrap: wrap;
        gap: 6px 14px;
        margin-top: 6px;
      }
      .modules label {
        display: flex;
        align-items: center;
        gap: 6px;
        margin: 0;
        font: 0.82rem var(--mono);
      }
    `,
  ];
  @property({ attribute: false }) field!: Field;
  @property({ type: Boolean }) disabled = false;

  protected override watched({ recipe, model }: Workspace): Store[] {
    return [recipe, model];
  }

  override render() {
    const { recipe } = this.workspace;
    const problem = recipe.errors[this.field.path]?.text;
    return html`
      ${this.control(problem !== undefined)}
      <p class="help" id="help">${this.field.help}</p>
      ${problem ? html`<p class="problem" id="problem" role="alert">${problem}</p>` : nothing}
    `;
  }

  private control(invalid: boolean) {
    const { recipe } = this.workspace;
    const { path, label, kind, options } = this.field;
    const value = recipe.get(path);
    switch (kind) {
      case 'number':
      case 'integer':
      case 'optional_integer':
        return html`<label for="control">${label}</label>
          <input
            id="control"
            name=${path}
            inputmode="decimal"
            autocomplete="off"
            .value=${invalid ? this.typed : value === null ? '' : String(value)}
            placeholder=${kind === 'optional_integer' ? (this.field.empty ?? 'no limit') : ''}
            aria-describedby=${invalid ? 'problem help' : 'help'}
            aria-invalid=${invalid}
            ?disabled=${this.disabled}
            @change=${this.numberChanged}
          />`;
      case 'optional_text':
        return html`<label for="control">${label}</label>
          <input
            id="control"
            name=${path}
            autocomplete="off"
            spellcheck="false"
            .value=${value === null ? '' : String(value)}
            placeholder=${this.field.empty ?? ''}
            aria-describedby=${invalid ? 'problem help' : 'help'}
            aria-invalid=${invalid}
            ?disabled=${this.disabled}
            @change=${(event: Event) => recipe.set(path, (event.target as HTMLInputElement).value || null)}
          />`;
      case 'toggle':
        return html`<div class="toggle">
          <input
            id="control"
            name=${path}
            type="checkbox"
            .checked=${value === true}
            aria-describedby="help"
            ?disabled=${this.disabled}
            @change=${(event: Event) => recipe.set(path, (event.target as HTMLInputElement).checked)}
          />
          <label for="control">${label}</label>
        </div>`;
      case 'select':
        return html`<label for="control">${label}</label>
          <select
            id="control"
            name=${path}
            aria-describedby="help"
            ?disabled=${this.disabled}
            @change=${(event: Event) => recipe.set(path, (event.target as HTMLSelectElement).value)}
          >
            ${(options ?? []).map(
              (option) =>
                html`<option value=${option.value} .selected=${option.value === value}>
                  ${option.label}
                </option>`,
            )}
          </select>`;
      case 'modules':
        return this.modules(value as string[] | typeof ALL_LINEAR);
      case 'mapping':
        return html`<label for="control">${label}</label>
          <input
            id="control"
            name=${path}
            autocomplete="off"
            spellcheck="false"
            .value=${invalid && this.typed ? this.typed : asPairs(value as Mapping | null)}
            placeholder=${this.field.empty ?? ''}
            aria-describedby=${invalid ? 'problem help' : 'help'}
            aria-invalid=${invalid}
            ?disabled=${this.disabled}
            @change=${this.mappingChanged}
          />`;
    }
  }

  private modules(chosen: string[] | typeof ALL_LINEAR) {
    const { model, recipe } = this.workspace;
    const { options, path } = this.field;
    const modules = options?.map((option) => option.value) ?? model.open?.report.linear_modules ?? [];
    const isChosen = (module: string) => chosen === ALL_LINEAR || chosen.includes(module);
    const toggle = (module: string, on: boolean) => {
      // Layers have an order of their own; what else is chosen keeps the order of choice.
      const ordered = modules.filter((name) => (name === module ? on : isChosen(name)));
      if (chosen !== ALL_LINEAR && options) {
        recipe.set(path, [...chosen.filter((name) => name !== module), ...(on ? [module] : [])]);
      } else {
        recipe.set(path, ordered.length === modules.length ? ALL_LINEAR : ordered);
      }
    };
    return html`<fieldset aria-describedby="help">
      <legend>${this.field.label}</legend>
      <div class="modules">
        ${modules.length === 0 ? 'All of them; some can be chosen once a model is open.' : nothing}
        ${modules.map(
          (module) =>
            html`<label
              ><input
                type="checkbox"
                .checked=${isChosen(module)}
                ?disabled=${this.disabled}
                @change=${(event: Event) => toggle(module, (event.target as HTMLInputElement).checked)}
              />${module}</label
            >`,
        )}
      </div>
    </fieldset>`;
  }

  private typed = '';

  private mappingChanged(event: Event): void {
    const { recipe } = this.workspace;
    const { path, label } = this.field;
    this.typed = (event.target as HTMLInputElement).value.trim();
    const pairs = this.typed.split(',').map((pair) => pair.split('=').map((part) => part.trim()));
    if (this.typed === '') {
      recipe.set(path, null);
    } else if (pairs.every((pair) => pair.length === 2 && pair[0] && pair[1])) {
      this.typed = '';
      recipe.set(path, Object.fromEntries(pairs));
    } else {
      recipe.reject(path, `${label} must be written like prompt=question, completion=reply.`);
    }
  }

  private numberChanged(event: Event): void {
    const { recipe } = this.workspace;
    const { path, kind, label } = this.field;
    this.typed = (event.target as HTMLInputElement).value.trim();
    if (this.typed === '' && kind === 'optional_integer') {
      recipe.set(path, null);
      return;
    }
    const value = Number(this.typed);
    if (this.typed === '' || !Number.isFinite(value)) {
      recipe.reject(path, `${label} must be a number${kind === 'number' ? ', like 0.0002' : ''}.`);
    } else if (kind !== 'number' && !Number.isInteger(value)) {
      recipe.reject(path, `${label} must be a whole number.`);
    } else {
      recipe.set(path, value);
    }
  }
}

/** As they are typed: `prompt=question, completion=reply`. */
function asPairs(mapping: Mapping | null): string {
  const named = Object.entries(mapping ?? {}).filter(([, column]) => column !== null);
  return named.map(([part, column]) => `${part}=${column ?? ''}`).join(', ');
}
