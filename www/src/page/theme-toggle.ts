import { LitElement, css, html } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { shared } from '../ui/styles.js';

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const SYMBOLS: Record<Theme, string> = { auto: '◐', light: '☀', dark: '☾' };

/** Auto, light, dark: remembered on this device. */
@customElement('theme-toggle')
export class ThemeToggle extends LitElement {
  static override styles = [
    shared,
    css`
      button {
        width: 36px;
        padding: 0;
        font-size: 1.05rem;
      }
    `,
  ];
  @state() private theme: Theme = THEMES.find((theme) => theme === localStorage.getItem('theme')) ?? 'auto';

  override connectedCallback(): void {
    super.connectedCallback();
    this.apply();
  }

  override render() {
    return html`<button
      @click=${this.next}
      aria-label=${`Colour theme: ${this.theme}`}
      title=${`Theme: ${this.theme}`}
    >
      <span aria-hidden="true">${SYMBOLS[this.theme]}</span>
    </button>`;
  }

  private next(): void {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length] ?? 'auto';
    localStorage.setItem('theme', this.theme);
    this.apply();
  }

  private apply(): void {
    if (this.theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.theme;
    window.dispatchEvent(new Event('themechange'));
  }
}
