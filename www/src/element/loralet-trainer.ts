import { ContextProvider } from '@lit/context';
import { LitElement, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { keyed } from 'lit/directives/keyed.js';
import { LoraletError } from '../engine/index.js';
import { errorNotice } from '../ui/components/error-notice.js';
import { problem, type Problem } from '../ui/problem.js';
import { bytes, duration, percent } from '../ui/words/format.js';
import { Milestones } from '../ui/words/milestones.js';
import { workspaceContext } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';
import type { AskOptions } from './ask-options.js';
import type { Tell } from './events.js';
import { controls, frame, tokens } from './styles.js';
import { section } from './sections.js';
import { DEFAULT_VIEWS, readTask, type Task } from './task.js';
import { languageOf, wordsIn, type Words } from './words.js';
import type { AdapterFormat, TrainerElement } from './trainer-element.js';
import type { Work } from './work.js';

const FORMATS: AdapterFormat[] = ['peft'];

/** What the button does next. */
type Phase = 'idle' | 'loading' | 'ready' | 'running' | 'waiting' | 'paused' | 'done';

/** `<loralet-trainer>`; what its attributes and methods do stands in `trainer-element.ts`, its manifest is `package/custom-elements.json`. */
export class Trainer extends LitElement implements TrainerElement {
  static override styles = [tokens, controls, frame];

  /** `lang`, which every element has, is the language of what it says: `en` or `de`, by default that of the page. */
  static override get observedAttributes(): string[] {
    return [...super.observedAttributes, 'lang'];
  }

  @property() model = '';
  @property() data = '';
  @property() recipe: string | object = '';
  @property() views = DEFAULT_VIEWS;
  @property() device = '';
  @property() prompts: string | string[] = '';
  @property() keep: string | null = null;
  @property() hub = '';

  @state() private work: Work | null = null;
  @state() private loading: Promise<void> | null = null;
  /** Whether all that the attributes name is open. */
  @state() private isOpen = false;
  /** Why it could not be opened. */
  @state() private problem: Problem | null = null;
  /** What the attributes ask for; null where they make no sense. */
  private task: Task | null = null;
  /** Why they make no sense. */
  private complaint: Problem | null = null;
  private readonly provider = new ContextProvider(this, { context: workspaceContext });
  private readonly milestones = new Milestones();
  private unsubscribe: (() => void)[] = [];
  /** How many times what was loaded has been left again. */
  private visits = 0;

  override attributeChangedCallback(name: string, old: string | null, value: string | null): void {
    super.attributeChangedCallback(name, old, value);
    if (name === 'lang') this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    // The frame of the trainer is gone with the element.
    this.leave();
  }

  async start(): Promise<void> {
    await (await this.prepared()).start();
  }

  async load(): Promise<void> {
    if (!this.loading) {
      const loading = this.open().finally(() => {
        if (this.loading === loading) this.loading = null;
      });
      this.loading = loading;
    }
    await this.loading;
  }

  async pause(): Promise<void> {
    await this.work?.workspace.training.pause();
  }

  async stop(): Promise<void> {
    if (this.loading) this.leave();
    else await this.work?.workspace.training.stop();
  }

  async ask(prompt: string, options: AskOptions = {}): Promise<string> {
    const work = await this.prepared();
    return work.ask(prompt, options);
  }

  async adapter(format: AdapterFormat = 'peft'): Promise<Blob> {
    const { work } = this;
    const known = FORMATS.some((name) => name === format);
    if (work && known) return work.adapter();
    throw known
      ? new LoraletError('not_ready', 'there is no adapter yet; train some steps first', { key: 'adapter' })
      : new LoraletError(
          'invalid_setting',
          `the format is "${String(format)}", but ${FORMATS.join(', ')} was expected`,
          {
            key: 'format',
          },
        );
  }

  protected override willUpdate(): void {
    try {
      this.task = readTask(this, this);
      this.complaint = null;
    } catch (error) {
      this.task = null;
      // The rows inside the element may not have been read yet.
      const { ownerDocument: page } = this;
      if (page.readyState === 'loading')
        page.addEventListener('DOMContentLoaded', () => this.requestUpdate(), { once: true });
      else this.complain(problem(error));
    }
  }

  protected override render() {
    const language = languageOf(this.lang || (this.closest('[lang]')?.getAttribute('lang') ?? ''));
    const words = wordsIn(language);
    const { task } = this;
    const phase = this.phase();
    const workspace = this.work?.workspace ?? null;
    const error = this.complaint ?? this.problem ?? workspace?.training.error ?? workspace?.trainer.error;
    return html`<div class="frame" lang=${language}>
      <div class="intro" ?hidden=${!this.hasIntro()}>
        <slot @slotchange=${() => this.requestUpdate()}></slot>
      </div>
      <div class="controls">
        ${this.buttons(words, task, phase)}
        <div class="status" data-test="status">${this.status(words, task, phase)}</div>
        <div role="status" class="visually-hidden">${this.announced(words, task, phase)}</div>
      </div>
      ${this.progress(words, phase)}
      <div lang="en">${errorNotice(error, 'error')}</div>
      ${task && workspace && phase !== 'idle' ? keyed(workspace, this.shown(words, task, language, workspace)) : nothing}
      ${workspace ? this.where(words, workspace) : nothing}
    </div>`;
  }

  private buttons(words: Words, task: Task | null, phase: Phase) {
    const state = this.work?.workspace.training.state;
    const [isStopping, isPausing] = [state === 'stopping', state === 'pausing'];
    const label: Record<Phase, string> = {
      idle: task && !this.canTrain ? words.load : words.train,
      loading: words.loading,
      ready: words.train,
      running: words.pause,
      waiting: isStopping ? words.stopping : isPausing ? words.pausing : words.loading,
      paused: words.goOn,
      done: words.trainAgain,
    };
    const isUseless = phase === 'loading' || phase === 'waiting' || (phase === 'idle' && !task);
    const isThere = phase !== 'ready' || task?.views.includes('train') === true;
    const canStop = phase === 'loading' || phase === 'running' || phase === 'paused';
    return html`${
      isThere
        ? html`<button
            part="button"
            class=${phase === 'running' ? '' : 'primary'}
            data-test="main"
            aria-disabled=${isUseless}
            @click=${() => this.press(phase)}
          >
            ${label[phase]}
          </button>`
        : nothing
    }${
      canStop
        ? html`<button part="button" data-test="stop" @click=${this.pressStop}>
            ${phase === 'loading' ? words.cancel : words.stop}
          </button>`
        : nothing
    }`;
  }

  private status(words: Words, task: Task | null, phase: Phase): string {
    const { work } = this;
    if (!task) return '';
    if (!work || phase === 'idle') return words.offer(task.modelName, task.dataName, task.steps);
    const { training } = work.workspace;
    if (phase === 'loading') return loadingStatus(words, work.workspace, task);
    const { last, plan } = training;
    const [step, total] = [last?.step ?? 0, plan?.total_steps ?? 0];
    switch (training.state) {
      case 'idle':
        return words.ready;
      case 'running':
      case 'pausing':
      case 'stopping':
        return last ? words.step(step, total, duration(training.secondsLeft)) : words.firstStep;
      case 'paused':
        return words.pausedAt(step, total);
      case 'stopped':
        return words.stoppedAt(step);
      case 'finished': {
        const seconds = training.reports.reduce((sum, report) => sum + report.seconds, 0);
        const time = seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds);
        const best = last?.restored_step ?? step;
        return best === step ? words.finished(step, time) : words.restored(step, time, best);
      }
      case 'failed':
        return words.failed;
      default:
        return training.state satisfies never;
    }
  }

  /** The same, now and then while it advances, so that a screen reader is not talked over. */
  private announced(words: Words, task: Task | null, phase: Phase): string {
    if (phase === 'idle') return '';
    const text = this.status(words, task, phase);
    if (phase !== 'running' && phase !== 'loading') {
      this.milestones.reset();
      return text;
    }
    return this.milestones.tell(phase, this.share(phase), text);
  }

  private progress(words: Words, phase: Phase) {
    if (phase === 'idle') return nothing;
    const label = phase === 'loading' ? words.loading : words.training;
    // It leaves its place to nothing, so that nothing moves.
    return html`<progress
      class=${phase === 'done' ? 'done' : ''}
      max="1"
      .value=${this.share(phase)}
      aria-label=${label}
    ></progress>`;
  }

  private share(phase: Phase): number {
    const workspace = this.work?.workspace;
    if (phase === 'loading') return workspace?.model.busy?.share ?? 0;
    const { last } = workspace?.training ?? {};
    return last ? last.step / last.total_steps : 0;
  }

  /** Whether anything stands above the button. */
  private hasIntro(): boolean {
    const isSeen = (node: ChildNode) =>
      node instanceof HTMLElement ? node.localName !== 'script' : node.textContent?.trim() !== '';
    return [...this.childNodes].some((node) => node.nodeType !== Node.COMMENT_NODE && isSeen(node));
  }

  private shown(words: Words, task: Task, language: string, { model, training }: Workspace) {
    const isOpen = model.open !== null;
    const hasRun = training.saved !== null || training.unreadable.length > 0;
    const earlier =
      this.keep !== null && isOpen && hasRun
        ? html`<section lang="en"><resume-banner></resume-banner></section>`
        : nothing;
    return html`${earlier}${task.views.map((view) => {
      switch (view) {
        case 'train':
          return html`<section>
            <loralet-train-view exportparts="chart, button" .language=${language}></loralet-train-view>
          </section>`;
        case 'try':
          return isOpen && !training.comparesTexts
            ? html`<section>
                <loralet-try-view
                  exportparts="button, answer"
                  .language=${language}
                  .prompts=${task.prompts}
                ></loralet-try-view>
              </section>`
            : nothing;
        case 'data':
        case 'settings':
        case 'export':
        case 'runs':
          return isOpen ? section(view, words) : nothing;
        default:
          return view satisfies never;
      }
    })}`;
  }

  private where(words: Words, { trainer }: Workspace) {
    const { device } = trainer;
    if (!device) return nothing;
    const where = device.kind === 'cpu' ? words.cpu : words.gpu;
    return html`<p class="where" title=${device.name} data-test="where">${words.where(where)}</p>`;
  }

  private phase(): Phase {
    if (this.loading) return 'loading';
    const workspace = this.work?.workspace;
    if (!workspace || !this.isOpen) return 'idle';
    const { busy, state: running } = workspace.training;
    if (busy && running !== 'running') return 'waiting';
    switch (running) {
      case 'idle':
        return 'ready';
      case 'running':
        return 'running';
      case 'pausing':
      case 'stopping':
        return 'waiting';
      case 'paused':
        return 'paused';
      case 'stopped':
      case 'finished':
      case 'failed':
        return 'done';
      default:
        return running satisfies never;
    }
  }

  /** Whether there is something to learn from without a person's choice, and a place to see it. */
  private get canTrain(): boolean {
    return this.task?.data != null && this.task.views.includes('train');
  }

  private press(phase: Phase): void {
    const { work } = this;
    if (phase === 'running') void work?.workspace.training.pause();
    else if (phase === 'idle' && !this.canTrain) this.attempt(this.load());
    else if (phase !== 'loading' && phase !== 'waiting') this.attempt(this.start());
  }

  /** The focus goes to the button that stays. */
  private pressStop(): void {
    this.renderRoot.querySelector<HTMLElement>('[data-test=main]')?.focus();
    void this.stop();
  }

  /** Whoever pressed reads what went wrong. */
  private attempt(asked: Promise<void>): void {
    asked.catch(() => undefined);
  }

  private async prepared(): Promise<Work> {
    await this.load();
    if (!this.work) throw new LoraletError('stopped', 'the element was taken out of the page');
    return this.work;
  }

  private async open(): Promise<void> {
    this.problem = null;
    // What the attributes lack is said already.
    const task = readTask(this, this);
    if (!this.isConnected)
      throw new LoraletError('not_ready', 'put the element into a page first', { key: 'element' });
    const { visits } = this;
    try {
      const work = this.work ?? (await this.enter(visits));
      await work.prepare(task);
      this.isOpen = true;
    } catch (error) {
      // Whoever has left wants to hear no more of it.
      if (this.visits === visits) {
        this.isOpen = false;
        this.fail(problem(error));
      }
      throw error;
    }
  }

  /** Loads what trains. */
  private async enter(visits: number): Promise<Work> {
    const { Work } = await import('./work.js');
    if (this.visits !== visits) throw new LoraletError('stopped', 'this was stopped');
    const work = new Work(() => this.renderRoot, this.keep, this.tell);
    const { data, model, training, trainer, recipe } = work.workspace;
    this.provider.setValue(work.workspace);
    this.unsubscribe = [trainer, model, data, recipe, training].map((store) =>
      store.subscribe(() => this.requestUpdate()),
    );
    this.work = work;
    return work;
  }

  private leave(): void {
    const { work } = this;
    this.visits += 1;
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
    this.work = null;
    this.isOpen = false;
    this.problem = null;
    this.loading = null;
    void work?.close();
  }

  /** Once for each sentence. */
  private complain(found: Problem): void {
    const isNew = this.complaint?.text !== found.text;
    this.complaint = found;
    if (isNew) this.tellProblem(found);
  }

  private fail(found: Problem): void {
    this.problem = found;
    this.tellProblem(found);
  }

  private tellProblem(found: Problem): void {
    const { kind, key, text } = found;
    this.tell('loralet-error', { kind, key, message: text });
  }

  private readonly tell: Tell = (name, detail) => {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  };
}

function loadingStatus(words: Words, { trainer, model, data }: Workspace, task: Task): string {
  const { busy } = model;
  if (!trainer.device) return words.loadingTrainer;
  if (busy?.wait) return words.waiting(busy.wait.why, busy.wait.secondsLeft);
  if (busy?.transfer) {
    const { file, done, total } = busy.transfer;
    return words.fetching(file, bytes(done), bytes(total));
  }
  if (busy) return words.reading(task.modelName, percent(busy.share));
  return data.busy || model.open ? words.loadingData : words.loadingTrainer;
}
