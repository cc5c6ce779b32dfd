import { LitElement, css, html } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import { saveFile } from '../ui/components/save-file.js';
import { Watch } from '../ui/stores/store.js';
import { shared } from '../ui/styles.js';
import { drawCard, type Card } from './card.js';
import { fill, type Lesson, type Values } from './lesson.js';
import type { Progress } from './progress.js';
import { plain, prose, proseStyle } from './prose.js';
import type { Words } from './words/words.js';

/** What a pupil keeps of a lesson: a picture of what the runs have shown. */
@customElement('lesson-card')
export class LessonCard extends LitElement {
  static override styles = [
    shared,
    proseStyle,
    css`
      .columns {
        display: grid;
        grid-template-columns: minmax(38ch, 5fr) minmax(0, 6fr);
        gap: 48px;
        align-items: start;
      }
      @media (max-width: 900px) {
        .columns {
          grid-template-columns: minmax(0, 1fr);
          gap: 20px;
        }
      }
      .text {
        font-size: 1.04rem;
        line-height: 1.65;
      }
      h2 {
        margin: 0 0 12px;
        font-size: 1.22rem;
      }
      h2:focus {
        outline: none;
      }
      canvas {
        display: block;
        width: 100%;
        height: auto;
        border: 1px solid var(--line);
        border-radius: var(--radius);
      }
      .name {
        display: grid;
        gap: 6px;
        max-width: 320px;
        margin: 20px 0 14px;
      }
    `,
  ];
  @property({ attribute: false }) lesson!: Lesson;
  @property({ attribute: false }) words!: Words;
  @property({ attribute: false }) progress!: Progress;
  @property({ attribute: false }) values: Values = {};
  @query('canvas') private canvas!: HTMLCanvasElement;
  private watch: Watch | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.watch ??= new Watch(this, this.progress);
  }

  override render() {
    const { card } = this.words;
    const said = this.words.lessons[this.lesson.id];
    const { found, guessed } = this.card();
    return html`<div class="columns">
      <article class="text">
        <h2 tabindex="-1" data-test="card-title">${card.title}</h2>
        ${said?.end.map((paragraph) => html`<p>${prose(paragraph, this.values)}</p>`)}
        <div class="name">
          <label for="pupil">${card.name}</label>
          <input
            id="pupil"
            maxlength="40"
            autocomplete="off"
            .value=${this.progress.pupil}
            @input=${(event: Event) => this.progress.name((event.target as HTMLInputElement).value)}
          />
        </div>
        <button class="primary" data-test="save-card" @click=${this.save}>${card.save}</button>
      </article>
      <canvas
        width="1200"
        height="900"
        role="img"
        data-test="card"
        aria-label=${fill(card.label, { text: [...found, guessed].join(' ') })}
      ></canvas>
    </div>`;
  }

  protected override updated(): void {
    drawCard(this.canvas, this.card());
  }

  private card(): Card {
    const { lesson, progress, words } = this;
    const said = words.lessons[lesson.id];
    const { evidence, pupil } = progress;
    let right = 0;
    const found = lesson.steps.map((step) => {
      const { values } = step.question(evidence, lesson.fields);
      if (step.borneOut(evidence, lesson.fields) === progress.step(step.id).guess) right += 1;
      return plain(said?.steps[step.id]?.found ?? '', {
        ...this.values,
        ...step.values?.(lesson),
        ...values,
      });
    });
    const run = evidence[lesson.curve];
    return {
      title: said?.title ?? '',
      pupil,
      found,
      guessed: fill(words.card.guessed, { right: String(right), all: String(lesson.steps.length) }),
      made: words.card.made,
      reports: run?.kind === 'run' ? run.reports : [],
    };
  }

  private save(): void {
    const name = fill(this.words.card.file, { lesson: this.lesson.id });
    this.canvas.toBlob((blob) => blob && saveFile(this, name, blob), 'image/png');
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'lesson-card': LessonCard;
  }
}
