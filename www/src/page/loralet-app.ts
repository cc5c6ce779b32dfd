import { ContextProvider } from '@lit/context';
import { LitElement, css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '../ui/components/compare-section.js';
import '../ui/components/data-section.js';
import '../ui/components/download-section.js';
import '../ui/components/model-section.js';
import '../ui/components/picks-section.js';
import { logo } from './logo.js';
import './privacy-line.js';
import '../ui/components/resume-banner.js';
import '../ui/components/runs-section.js';
import '../ui/components/search-panel.js';
import '../ui/components/settings-section.js';
import './theme-toggle.js';
import '../ui/components/train-section.js';
import { Watch } from '../ui/stores/store.js';
import { errorNotice } from '../ui/components/error-notice.js';
import { shared } from '../ui/styles.js';
import { workspaceContext } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';

interface Section {
  id: string;
  title: string;
  lead: string;
}

const SECTIONS: Section[] = [
  {
    id: 'model',
    title: 'Model',
    lead: 'The language model to start from. It stays as it is; training adds a small adapter beside it.',
  },
  { id: 'data', title: 'Data', lead: 'The examples it learns from. Formats are recognised by themselves.' },
  { id: 'settings', title: 'Settings', lead: 'Six that matter. The defaults are good ones.' },
  { id: 'train', title: 'Train', lead: 'Watch it learn. Pause, look, go on.' },
  { id: 'compare', title: 'Compare', lead: 'The same prompt or query, before and after.' },
  {
    id: 'prefer',
    title: 'Prefer',
    lead: 'Pick the better of two answers. Your picks become data: for DPO, KTO or a reward model.',
  },
  { id: 'download', title: 'Download', lead: 'What was trained, ready for PEFT or transformers.' },
  {
    id: 'runs',
    title: 'Runs',
    lead: 'Every run is kept in this browser: compare them, repeat one, sweep over settings.',
  },
];

/** The page over a workspace: header, the sections in order, and a list of them that shows what is done. */
@customElement('loralet-app')
export class LoraletApp extends LitElement {
  static override styles = [
    shared,
    css`
      header {
        position: sticky;
        top: 0;
        z-index: 4;
        border-bottom: 1px solid var(--line);
        background: color-mix(in srgb, var(--paper) 88%, transparent);
        backdrop-filter: blur(10px);
      }
      .bar,
      .columns {
        max-width: 1120px;
        margin: 0 auto;
        padding: 0 24px;
      }
      .bar {
        display: flex;
        align-items: center;
        gap: 10px;
        height: 60px;
      }
      .brand {
        display: flex;
        align-items: center;
        gap: 10px;
        margin-right: auto;
        font-weight: 700;
        font-size: 1.1rem;
        letter-spacing: -0.01em;
      }
      .intro {
        padding: 40px 0 8px;
      }
      h1 {
        margin: 0 0 10px;
        font-size: clamp(1.6rem, 4.2vw, 2.35rem);
        line-height: 1.15;
        letter-spacing: -0.025em;
        text-wrap: balance;
      }
      .intro p {
        max-width: 62ch;
        color: var(--muted);
        font-size: 1.03rem;
      }
      .columns {
        display: grid;
        grid-template-columns: 168px minmax(0, 1fr);
        gap: 40px;
        padding-bottom: 96px;
      }
      nav ol {
        position: sticky;
        top: 100px;
        margin: 48px 0 0;
        padding: 0;
        list-style: none;
      }
      nav a {
        display: flex;
        align-items: center;
        gap: 10px;
        padding: 7px 0;
        color: var(--muted);
        font-weight: 600;
        font-size: 0.92rem;
        text-decoration: none;
      }
      nav a:hover {
        color: var(--accent);
      }
      .badge {
        display: inline-grid;
        place-items: center;
        width: 24px;
        height: 24px;
        flex: none;
        border: 1.5px solid var(--line-strong);
        border-radius: 50%;
        font-size: 0.75rem;
        font-weight: 700;
      }
      .done .badge {
        border-color: var(--good);
        background: var(--good-soft);
        color: var(--good);
      }
      section {
        margin-top: 24px;
        padding: 24px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--card);
        box-shadow: var(--shadow);
      }
      main:focus {
        outline: none;
      }
      h2 {
        display: flex;
        align-items: center;
        gap: 10px;
        margin: 0;
        font-size: 1.2rem;
        letter-spacing: -0.01em;
      }
      .lead {
        margin: 4px 0 18px;
        color: var(--muted);
      }
      footer {
        margin-top: 32px;
        color: var(--muted);
        font-size: 0.86rem;
      }
      @media (max-width: 900px) {
        .columns {
          grid-template-columns: minmax(0, 1fr);
        }
        nav {
          position: fixed;
          inset: auto 0 0;
          z-index: 4;
          border-top: 1px solid var(--line);
          background: var(--paper);
        }
        nav ol {
          position: static;
          display: flex;
          flex-wrap: wrap;
          justify-content: space-between;
          max-width: 640px;
          margin: 0 auto;
          padding: 2px 8px calc(2px + env(safe-area-inset-bottom));
        }
        nav a {
          flex-direction: column;
          gap: 2px;
          min-width: 26px;
          padding: 4px 1px;
          font-size: 0.75rem;
          line-height: 1.2;
        }
      }
      @media (max-width: 480px) {
        nav ol {
          padding-inline: 4px;
        }
        nav a {
          padding-inline: 0;
          font-size: 0.64rem;
        }
      }
      @media (max-width: 360px) {
        nav a {
          font-size: 0.6rem;
          font-weight: 500;
          letter-spacing: -0.02em;
        }
      }
      @media (max-height: 420px) {
        header {
          position: static;
        }
      }
      @media (max-width: 640px) {
        .bar,
        .columns {
          padding-left: 12px;
          padding-right: 12px;
        }
        .intro {
          padding: 24px 4px 0;
        }
        section {
          padding: 18px 16px;
          margin-top: 14px;
        }
      }
    `,
  ];

  /** Given before it is put into a document. */
  @property({ attribute: false }) workspace!: Workspace;
  private readonly provider = new ContextProvider(this, { context: workspaceContext });
  private watch: Watch | null = null;

  override connectedCallback(): void {
    this.provider.setValue(this.workspace);
    super.connectedCallback();
    const { trainer, model, data, recipe, training } = this.workspace;
    this.watch ??= new Watch(this, trainer, model, data, recipe, training);
  }

  override render() {
    const { trainer } = this.workspace;
    return html`
      <header>
        <div class="bar">
          <span class="brand">${logo} Loralet</span>
          <privacy-line></privacy-line>
          <theme-toggle></theme-toggle>
        </div>
      </header>
      <div class="columns">
        <nav aria-label="Steps">
          <ol>
            ${SECTIONS.map(
              (section, index) =>
                html`<li class=${this.isDone(section.id) ? 'done' : ''}>
                  <a href=${`#${section.id}`} @click=${(event: Event) => this.goTo(event, section.id)}
                    >${this.badge(section.id, index)} ${section.title}</a
                  >
                </li>`,
            )}
          </ol>
        </nav>
        <main
          tabindex="-1"
          @show-section=${(event: CustomEvent<string>) => this.section(event.detail)?.scrollIntoView()}
        >
          <div class="intro">
            <h1>Fine-tune a language model in this browser tab</h1>
            <p>
              Choose a small model, drop in examples, press start. Nothing is installed and nothing is
              uploaded: the training runs on this computer, here. New to language models?
              <a href="./lessons.html" data-test="lessons">Take a lesson</a>.
            </p>
          </div>
          ${errorNotice(trainer.error, 'trainer-error')}
          <resume-banner></resume-banner>
          ${SECTIONS.map(
            (section, index) =>
              html`<section id=${section.id} tabindex="-1" aria-labelledby=${`${section.id}-title`}>
                <h2 id=${`${section.id}-title`} class=${this.isDone(section.id) ? 'done' : ''}>
                  ${this.badge(section.id, index)} ${section.title}
                </h2>
                <p class="lead">${section.lead}</p>
                ${this.content(section.id)}
              </section>`,
          )}
          <footer>
            ${trainer.device ? `${trainer.device.reason} (${trainer.device.name}).` : 'The trainer is starting …'}
          </footer>
        </main>
      </div>
    `;
  }

  private content(id: string) {
    const { model, training } = this.workspace;
    switch (id) {
      case 'model':
        return html`<model-section></model-section>`;
      case 'data':
        return html`<data-section></data-section>`;
      case 'settings':
        return html`<settings-section></settings-section>`;
      case 'train':
        return html`<train-section></train-section>`;
      case 'compare':
        return training.comparesTexts
          ? html`<search-panel></search-panel>`
          : html`<compare-section></compare-section>`;
      case 'prefer':
        return model.isEncoder || training.comparesTexts
          ? html`<p class="muted">An encoder writes no answers to pick from.</p>`
          : html`<picks-section></picks-section>`;
      case 'runs':
        return html`<runs-section></runs-section>`;
      default:
        return html`<download-section></download-section>`;
    }
  }

  private badge(id: string, index: number) {
    const done = this.isDone(id);
    return html`<span class="badge" aria-hidden="true">${done ? '✓' : index + 1}</span
      >${done ? html`<span class="visually-hidden">Done:</span>` : nothing}`;
  }

  private isDone(id: string): boolean {
    const { model, data, recipe, training } = this.workspace;
    switch (id) {
      case 'model':
        return model.open !== null;
      case 'data':
        return data.open !== null;
      case 'settings':
        return data.open !== null && recipe.valid;
      case 'train':
        return training.state === 'finished';
      default:
        return false;
    }
  }

  /** The sections live in this component's shadow tree, where the address' fragment does not reach. */
  private goTo(event: Event, id: string): void {
    event.preventDefault();
    const section = this.section(id);
    section?.scrollIntoView();
    section?.focus({ preventScroll: true });
  }

  private section(id: string): HTMLElement | null {
    return this.renderRoot.querySelector(`#${id}`);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'loralet-app': LoraletApp;
  }
}
