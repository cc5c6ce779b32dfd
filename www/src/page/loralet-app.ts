import { ContextProvider } from '@lit/context';
import { LitElement, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import '../ui/components/compare-section.js';
import '../ui/components/data-section.js';
import '../ui/components/download-section.js';
import '../ui/components/model-section.js';
import '../ui/components/picks-section.js';
import '../ui/components/resume-banner.js';
import '../ui/components/run-dock.js';
import '../ui/components/runs-section.js';
import '../ui/components/search-panel.js';
import '../ui/components/settings-section.js';
import '../ui/components/train-section.js';
import '../ui/components/worth-panel.js';
import { errorNotice } from '../ui/components/error-notice.js';
import { Watch } from '../ui/stores/store.js';
import { shared } from '../ui/styles.js';
import { sentence } from '../ui/words/sentence.js';
import { workspaceContext } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';
import { layout } from './layout.js';
import { logo } from './logo.js';
import './privacy-line.js';
import './theme-toggle.js';
import './view-rail.js';
import { nextView } from './view-states.js';
import { VIEWS, viewInAddress, type View, type ViewName } from './views.js';

/** The page over a workspace: one view at a time, which the address names, the list of them, and the run beside them. */
@customElement('loralet-app')
export class LoraletApp extends LitElement {
  static override styles = [shared, layout];

  /** Given before it is put into a document. */
  @property({ attribute: false }) workspace!: Workspace;
  @state() private view: ViewName = viewInAddress();
  private readonly provider = new ContextProvider(this, { context: workspaceContext });
  private watch: Watch | null = null;
  /** How far each view was scrolled when it was left, in pixels. */
  private readonly scrolled = new Map<ViewName, number>();

  override connectedCallback(): void {
    this.provider.setValue(this.workspace);
    super.connectedCallback();
    const { compare, data, model, search, trainer, training } = this.workspace;
    this.watch ??= new Watch(this, compare, data, model, search, trainer, training);
    history.scrollRestoration = 'manual';
    window.addEventListener('hashchange', this.follow);
    this.nameDocument();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener('hashchange', this.follow);
  }

  override render() {
    const { data, model, trainer, training } = this.workspace;
    const isNew = !data.open && !data.waiting && !model.open;
    const isReady = data.open !== null && model.open !== null && !training.active;
    const isOffered = training.plan !== null || isReady;
    return html`
      <header>
        <div class="bar">
          <h1>${logo} Loralet</h1>
          <privacy-line></privacy-line>
          <theme-toggle></theme-toggle>
        </div>
      </header>
      <div class="studio">
        <view-rail
          .current=${this.view}
          @chosen=${({ detail }: CustomEvent<ViewName>) => detail === this.view && this.enter()}
        ></view-rail>
        <main tabindex="-1" @show-section=${this.show}>
          ${errorNotice(trainer.error, 'trainer-error')}
          <resume-banner></resume-banner>
          ${isNew && this.view === 'data' ? this.welcome() : nothing}
          ${VIEWS.map((view) => this.section(view))}
          <footer>${this.device()}</footer>
        </main>
        <aside
          class=${isOffered ? '' : 'empty'}
          aria-label="The run"
          tabindex="-1"
          @show-section=${this.show}
        >
          <run-dock ?quiet=${this.view === 'train'}></run-dock>
        </aside>
      </div>
    `;
  }

  /** The view of the run says it as well. */
  private device() {
    const { device } = this.workspace.trainer;
    if (!device) return 'The trainer is starting …';
    return this.view === 'train' ? nothing : sentence(`${device.reason} (${device.name})`);
  }

  private welcome() {
    return html`<div class="welcome">
      <p class="claim">Fine-tune a language model in this browser tab</p>
      <p>
        Drop in examples, choose a small model, press start. Nothing is installed and nothing is uploaded: the
        training runs on this computer, here. New to language models?
        <a href="./lessons.html">Take a lesson</a>.
      </p>
    </div>`;
  }

  /** What is not shown stays where it is, with all that was typed and opened in it. */
  private section({ id, title, lead }: View) {
    const next = nextView(this.workspace);
    return html`<section id=${id} tabindex="-1" aria-labelledby=${`${id}-title`} ?hidden=${this.view !== id}>
      <div class="title">
        <h2 id=${`${id}-title`}>${title}</h2>
        ${
          next && next !== id
            ? html`<button data-test=${`next-of-${id}`} @click=${() => (location.hash = next)}>
                Next: ${VIEWS.find((view) => view.id === next)?.title} <span aria-hidden="true">→</span>
              </button>`
            : nothing
        }
      </div>
      <p class="lead">${lead}</p>
      ${this.content(id)}
    </section>`;
  }

  private content(id: ViewName) {
    switch (id) {
      case 'data':
        return html`<div class="card"><data-section></data-section></div>`;
      case 'model':
        return html`<div class="card"><model-section></model-section></div>`;
      case 'train':
        return html`<div class="card"><settings-section></settings-section></div>
          <div class="card"><train-section></train-section></div>`;
      case 'try':
        return this.attempts();
      case 'runs':
        return html`<div class="card"><runs-section></runs-section></div>`;
      case 'export':
        return html`<download-section .shown=${this.view === 'export'}></download-section>`;
      default:
        return id satisfies never;
    }
  }

  private attempts() {
    const { model, training } = this.workspace;
    if (training.comparesTexts)
      return html`<div class="card"><search-panel></search-panel></div>
        ${this.worth()}`;
    return html`
      <div class="card"><compare-section></compare-section></div>
      ${this.worth()}
      ${
        model.isEncoder
          ? nothing
          : html`<div class="card">
              <h3>Prefer</h3>
              <p class="lead">
                Pick the better of two answers. Your picks become data: for DPO, KTO or a reward model.
              </p>
              <picks-section></picks-section>
            </div>`
      }
    `;
  }

  private worth() {
    return html`<div class="card">
      <h3>Is it worth it?</h3>
      <p class="lead">
        Rows that were kept aside, answered by the base, by the base with examples in its prompt, and by the
        tuned model.
      </p>
      <worth-panel></worth-panel>
    </div>`;
  }

  private readonly show = ({ detail }: CustomEvent<string>): void => {
    if (detail === this.view) void this.enter();
    else location.hash = detail;
  };

  /** The view that the address names now, after a link, Back or Forward. */
  private readonly follow = (): void => {
    const view = viewInAddress();
    if (view === this.view) return;
    this.scrolled.set(this.view, window.scrollY);
    // Whoever is in another part of a page with several apps stays there.
    const { activeElement } = this.ownerDocument;
    const isHere = activeElement === this || activeElement === null || activeElement.localName === 'body';
    this.view = view;
    this.nameDocument();
    void this.enter(isHere);
  };

  /** The focus goes along, to the view as it was left. */
  private async enter(takesFocus = true): Promise<void> {
    await this.updateComplete;
    window.scrollTo({ top: this.scrolled.get(this.view) ?? 0, behavior: 'instant' });
    this.scrolled.delete(this.view);
    if (takesFocus)
      this.renderRoot.querySelector<HTMLElement>(`#${this.view}`)?.focus({ preventScroll: true });
  }

  private nameDocument(): void {
    const title = VIEWS.find(({ id }) => id === this.view)?.title ?? '';
    this.ownerDocument.title = `${title} – Loralet: fine-tune language models in your browser`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'loralet-app': LoraletApp;
  }
}
