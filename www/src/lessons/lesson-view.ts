import { LitElement, html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { errorNotice } from '../ui/components/error-notice.js';
import { Watch } from '../ui/stores/store.js';
import { shared } from '../ui/styles.js';
import { Milestones } from '../ui/words/milestones.js';
import './lesson-card.js';
import './live/live-part.js';
import type { Lab } from './lab.js';
import {
  fill,
  isKnown,
  type Evidence,
  type Lesson,
  type Question,
  type Step,
  type Values,
} from './lesson.js';
import type { Progress } from './progress.js';
import { lessonStyle } from './lesson-style.js';
import { prose, proseStyle } from './prose.js';
import type { LessonWords, StepWords, Words } from './words/words.js';

/** One lesson, step by step: guess, do, see, say; at its end the card. */
@customElement('lesson-view')
export class LessonView extends LitElement {
  static override styles = [shared, proseStyle, lessonStyle];

  @property({ attribute: false }) lesson!: Lesson;
  @property({ attribute: false }) words!: Words;
  @property({ attribute: false }) lab!: Lab;
  @property({ attribute: false }) progress!: Progress;
  @state() private chosen: string | null = null;
  private readonly milestones = new Milestones();
  private watch: Watch | null = null;
  private shown = '';

  override connectedCallback(): void {
    super.connectedCallback();
    const { ratings, training } = this.lab.workspace;
    this.watch ??= new Watch(this, this.lab, this.progress, training, ratings);
  }

  override render() {
    const { lesson, progress, said } = this;
    const step = lesson.steps[progress.at];
    return html`
      <div class="head">
        <h1>${said.title}</h1>
        <nav aria-label=${this.words.lesson.steps}>
          <ol class="steps">
            ${lesson.steps.map((one, place) => this.stepLink(one, place))}
            <li>
              <button
                data-test="step-end"
                aria-label=${this.words.lesson.end}
                title=${this.words.lesson.end}
                ?disabled=${!this.isOver(lesson.steps.length - 1)}
                aria-current=${step ? nothing : 'step'}
                @click=${() => this.go(lesson.steps.length)}
              >
                ★
              </button>
            </li>
          </ol>
        </nav>
      </div>
      ${step ? this.stepView(step) : this.endView()}
    `;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('progress') || changed.has('lesson')) this.chosen = null;
  }

  /** A new step takes the reader to its beginning. */
  protected override updated(): void {
    const now = `${this.lesson.id} ${this.progress.at}`;
    if (this.shown && this.shown !== now) {
      this.renderRoot.querySelector('h2')?.focus({ preventScroll: true });
      this.scrollIntoView({ block: 'start' });
    }
    this.shown = now;
  }

  private get said(): LessonWords {
    const said = this.words.lessons[this.lesson.id];
    if (!said) throw new Error(`there are no words for the lesson ${this.lesson.id}`);
    return said;
  }

  private wordsOf(step: Step): StepWords {
    const words = this.said.steps[step.id];
    if (!words) throw new Error(`there are no words for the step ${step.id} of ${this.lesson.id}`);
    return words;
  }

  /** What texts may name: the fields, and figures of the lesson. */
  private get values(): Values {
    const { fields, rows, settings } = this.lesson;
    const steps = Number(settings['train.max_steps']);
    const batch = Number(settings['train.batch_size']);
    const epochs = Math.max(1, Math.round((steps * batch) / rows.length));
    return { ...fields, rows: String(rows.length), epochs: String(epochs) };
  }

  private stepLink(step: Step, place: number) {
    const { at } = this.progress;
    const isDone = this.isAnswered(step);
    const label = fill(this.words.lesson.step, {
      step: String(place + 1),
      steps: String(this.lesson.steps.length),
    });
    return html`<li>
      <button
        class=${isDone ? 'done' : ''}
        aria-label=${`${label}: ${this.wordsOf(step).title}${isDone ? ' ✓' : ''}`}
        title=${this.wordsOf(step).title}
        aria-current=${place === at ? 'step' : nothing}
        ?disabled=${(place > 0 && !this.isOver(place - 1)) || this.lab.doing !== null}
        @click=${() => this.go(place)}
      >
        ${isDone && place !== at ? '✓' : place + 1}
      </button>
    </li>`;
  }

  private stepView(step: Step) {
    const { lab, lesson, progress } = this;
    const words = this.wordsOf(step);
    const done = this.isDone(step);
    const { doing } = lab;
    const isMine = doing !== null;
    const { training } = lab.workspace;
    const running =
      doing?.kind === 'train'
        ? { name: doing.name, reports: training.reports, totalSteps: training.plan?.total_steps ?? 1 }
        : null;
    return html`<div class="columns">
      <div class="text">
        <h2 id="step-title" tabindex="-1" data-test="step-title">${words.title}</h2>
        ${words.text.map((paragraph) => html`<p>${prose(paragraph, this.valuesOf(step))}</p>`)}
        <ol class="phases">
          ${this.guessPhase(step, words)} ${this.doPhase(step, words)}
        </ol>
      </div>
      <section class="live" aria-label=${this.words.lesson.live} tabindex="0" data-test="live">
        <live-part
          .views=${step.views}
          .evidence=${done || isMine ? this.evidenceShown(step, done) : {}}
          .lab=${lab}
          .running=${running}
          .words=${this.words}
          .captions=${words.captions}
          .fields=${this.values}
        ></live-part>
      </section>
      <div class="text after">
        <ol class="phases">
          ${this.seePhase(step, words)} ${this.sayPhase(step, words)}
        </ol>
        <div class="on">
          <button
            data-test="back"
            ?disabled=${progress.at === 0 || isMine}
            @click=${() => this.go(progress.at - 1)}
          >
            ${this.words.lesson.back}
          </button>
          <button
            class="primary"
            data-test="next"
            ?disabled=${!this.isAnswered(step) || isMine}
            @click=${() => this.go(progress.at + 1)}
          >
            ${progress.at === lesson.steps.length - 1 ? this.words.lesson.toTheEnd : this.words.lesson.next}
          </button>
        </div>
      </div>
    </div>`;
  }

  /** What an action that is being done again has found before is not shown any more. */
  private evidenceShown(step: Step, done: boolean): Evidence {
    const own = new Set(step.actions.map(({ name }) => name));
    const isShown = (name: string) => !own.has(name) || (done && this.lab.doing === null);
    const kept = Object.entries(this.progress.evidence).filter(([name]) => isShown(name));
    return { ...Object.fromEntries(kept), ...(this.lab.doing ? this.lab.found : {}) };
  }

  private guessPhase(step: Step, words: StepWords) {
    const { guess } = this.progress.step(step.id);
    const done = this.isDone(step);
    const isFixed = done || this.lab.doing !== null;
    return html`<li class=${guess ? 'done' : 'now'}>
      <h3>${this.words.lesson.guess}</h3>
      ${this.fieldsOf(step, isFixed)}
      <fieldset class=${isShort(step.guesses.map((id) => words.guesses[id] ?? '')) ? 'choices' : ''}>
        <legend>${prose(words.guess, this.valuesOf(step))}</legend>
        ${step.guesses.map(
          (id) =>
            html`<label
              ><input
                type="radio"
                name="guess"
                data-test=${`guess-${id}`}
                .checked=${guess === id}
                ?disabled=${isFixed}
                @change=${() => this.progress.guess(step.id, id)}
              />${fill(words.guesses[id] ?? id, this.valuesOf(step))}</label
            >`,
        )}
      </fieldset>
    </li>`;
  }

  /** In the first step a pupil may choose what the lesson is about. */
  private fieldsOf(step: Step, isFixed: boolean) {
    if (!step.asksFor) return nothing;
    return step.asksFor.map(
      (name) =>
        html`<div class="field">
          <label for=${name}>${this.said.fields[name]}</label>
          <input
            id=${name}
            data-test=${`field-${name}`}
            maxlength="24"
            .value=${this.lesson.fields[name] ?? ''}
            ?disabled=${isFixed}
            @change=${(event: Event) => this.set(name, event.target as HTMLInputElement)}
          />
        </div>`,
    );
  }

  private doPhase(step: Step, words: StepWords) {
    const { lab, progress } = this;
    const { guess } = progress.step(step.id);
    const done = this.isDone(step);
    const { lesson: said } = this.words;
    const canAgain = done && step.actions.length > 0;
    return html`<li class=${done ? 'done' : guess ? 'now' : ''}>
      <h3>${said.do}</h3>
      ${
        guess
          ? html`<div class="row">
              <button
                class=${done ? '' : 'primary'}
                data-test="do"
                ?disabled=${lab.doing !== null || (done && !canAgain)}
                @click=${() => this.do(step)}
              >
                ${canAgain ? said.again : fill(words.press, this.valuesOf(step))}
              </button>
              ${
                lab.doing?.kind === 'train'
                  ? html`<button data-test="stop" @click=${() => lab.workspace.training.stop()}>
                      ${said.stop}
                    </button>`
                  : nothing
              }
            </div>`
          : html`<p class="later">${said.guessFirst}</p>`
      }
      <div class=${done ? '' : 'room'}>
        <div role="status" class="doing small muted" data-test="doing">${this.doing()}</div>
        ${this.bar()}
      </div>
      ${errorNotice(lab.error, 'lesson-error')}
    </li>`;
  }

  private doing(): string {
    const { lab, words } = this;
    const { doing } = lab;
    if (!doing || doing.kind === 'compose') {
      this.milestones.reset();
      return '';
    }
    if (!lab.ready) return words.lesson.loading;
    const { last } = lab.workspace.training;
    if (doing.kind !== 'train' || !last) return words.lesson.doing;
    const values = { step: String(last.step), steps: String(last.total_steps) };
    return this.milestones.tell(
      doing.name,
      last.step / last.total_steps,
      fill(words.lesson.training, values),
    );
  }

  private bar() {
    const { lab } = this;
    const { last, plan } = lab.workspace.training;
    if (lab.doing?.kind !== 'train' || !plan) return nothing;
    return html`<progress
      max=${plan.total_steps}
      .value=${last?.step ?? 0}
      aria-label=${this.words.lesson.do}
    ></progress>`;
  }

  private seePhase(step: Step, words: StepWords) {
    const done = this.isDone(step);
    return html`<li class=${done ? 'done' : ''}>
      <h3>${this.words.lesson.see}</h3>
      ${done ? html`<p>${prose(words.see, this.valuesOf(step))}</p>` : html`<p class="later">${this.words.lesson.doFirst}</p>`}
    </li>`;
  }

  private sayPhase(step: Step, words: StepWords) {
    const { answers } = this.progress.step(step.id);
    const done = this.isDone(step);
    const { lesson: said } = this.words;
    if (!done || this.lab.doing) {
      return html`<li class="last">
        <h3>${said.say}</h3>
        <p class="later">${said.doFirst}</p>
      </li>`;
    }
    const question = this.question(step);
    const isRight = answers.at(-1) === question.right;
    const labels = question.options.map(({ id, text }) => words.options[id] ?? text ?? id);
    return html`<li class=${isRight ? 'last done' : 'last now'}>
      <h3>${said.say}</h3>
      <fieldset class=${isShort(labels) ? 'choices' : ''}>
        <legend>${prose(words.say, this.valuesOf(step))}</legend>
        ${question.options.map(
          ({ id }, place) =>
            html`<label class=${isRight && id === question.right ? 'right' : ''}
              ><input
                type="radio"
                name="say"
                data-test="say"
                data-id=${id}
                .checked=${live((isRight ? question.right : this.chosen) === id)}
                ?disabled=${isRight}
                @change=${() => (this.chosen = id)}
              />${labels[place]}</label
            >`,
        )}
      </fieldset>
      ${
        isRight
          ? nothing
          : html`<button
              class="primary"
              style="margin-top: 10px"
              data-test="check"
              ?disabled=${this.chosen === null}
              @click=${() => this.answer(step)}
            >
              ${said.check}
            </button>`
      }
      <div role="status">${this.verdict(step, words, question, isRight)}</div>
    </li>`;
  }

  private verdict(step: Step, words: StepWords, question: Question, isRight: boolean) {
    const { answers, guess } = this.progress.step(step.id);
    const { lesson: said } = this.words;
    if (answers.length === 0) return nothing;
    if (!isRight) return html`<p class="verdict" data-test="verdict">${said.wrong}</p>`;
    const borneOut = step.borneOut(this.progress.evidence, this.lesson.fields);
    return html`<p class="verdict right" data-test="verdict">
      <b>${said.right}</b> ${prose(words.because, { ...this.valuesOf(step), ...question.values })}
      ${borneOut === guess ? said.guessedRight : said.guessedOtherwise}
    </p>`;
  }

  private endView() {
    return html`<lesson-card
      .lesson=${this.lesson}
      .words=${this.words}
      .progress=${this.progress}
      .values=${this.values}
    ></lesson-card>`;
  }

  /** Figures of the lesson and, once it is done, of the step. */
  private valuesOf(step: Step): Values {
    return step.values ? { ...this.values, ...step.values(this.lesson) } : this.values;
  }

  private question(step: Step): Question {
    return step.question(this.progress.evidence, this.lesson.fields);
  }

  private isDone(step: Step): boolean {
    return this.progress.step(step.id).done && isKnown(step, this.progress.evidence);
  }

  private isAnswered(step: Step): boolean {
    const { answers } = this.progress.step(step.id);
    return this.isDone(step) && answers.at(-1) === this.question(step).right;
  }

  /** Whether the next step may be opened. */
  private isOver(place: number): boolean {
    return this.lesson.steps.slice(0, place + 1).every((step) => this.isAnswered(step));
  }

  private go(at: number): void {
    this.chosen = null;
    this.progress.go(at);
  }

  private answer(step: Step): void {
    if (this.chosen !== null) this.progress.answer(step.id, this.chosen);
  }

  private async do(step: Step): Promise<void> {
    this.chosen = null;
    const evidence = await this.lab.perform(step.actions, this.lesson);
    if (evidence) this.progress.found(step.id, evidence);
  }

  /** Whoever shows this keeps it. */
  private set(name: string, input: HTMLInputElement): void {
    const value = input.value.trim();
    if (value) this.dispatchEvent(new CustomEvent('field', { detail: { name, value } }));
    else input.value = this.lesson.fields[name] ?? '';
  }
}

/** Whether choices stand beside one another. */
function isShort(labels: string[]): boolean {
  return labels.every((label) => label.length <= 16);
}

declare global {
  interface HTMLElementTagNameMap {
    'lesson-view': LessonView;
  }
}
