import { LitElement, css, html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { shared } from '../ui/styles.js';
import { fill, type Lesson } from './lesson.js';
import { prose, proseStyle } from './prose.js';
import type { Words } from './words/words.js';

/** A lesson on paper: guesses to tick, and room for what the pupil's own run says. */
@customElement('lesson-sheet')
export class LessonSheet extends LitElement {
  static override styles = [
    shared,
    proseStyle,
    css`
      .sheet {
        max-width: 760px;
        margin: 28px auto 64px;
        line-height: 1.5;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: end;
        justify-content: space-between;
        gap: 12px;
        padding-bottom: 12px;
        border-bottom: 2px solid var(--ink);
      }
      h1 {
        margin: 0;
        font-size: 1.5rem;
      }
      .name {
        flex: 1 1 240px;
        max-width: 320px;
        border-bottom: 1px solid var(--line-strong);
      }
      section {
        padding: 16px 0 4px;
        break-inside: avoid;
      }
      h2 {
        margin: 0 0 6px;
        font-size: 1.05rem;
      }
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 24px;
        margin: 4px 0 10px;
        padding: 0;
        list-style: none;
      }
      li::before {
        content: '☐ ';
      }
      .write {
        height: 2.1em;
        margin: 0 0 8px;
        border-bottom: 1px solid var(--line-strong);
      }
      p {
        margin-bottom: 0.3em;
      }
      @media print {
        .screen {
          display: none;
        }
        .sheet {
          max-width: none;
          margin: 0;
          font-size: 10.5pt;
        }
      }
    `,
  ];
  @property({ attribute: false }) lesson!: Lesson;
  @property({ attribute: false }) words!: Words;

  override render() {
    const { lesson, words } = this;
    const said = words.lessons[lesson.id];
    const values = { ...lesson.fields, rows: String(lesson.rows.length) };
    return html`<div class="sheet" data-test="sheet">
      <p class="screen">
        <button class="primary" @click=${() => window.print()}>${words.lesson.print}</button>
      </p>
      <header>
        <h1>${said?.title}</h1>
        <div class="name">${words.lesson.sheetName}:</div>
      </header>
      <p style="margin-top: 12px">${prose(said?.goal ?? '', values)}</p>
      ${lesson.steps.map((step, place) => {
        const own = said?.steps[step.id];
        return html`<section>
          <h2>${place + 1}. ${own?.title}</h2>
          <p><b>${words.lesson.guess}:</b> ${prose(own?.guess ?? '', values)}</p>
          <ul>
            ${step.guesses.map((id) => html`<li>${fill(own?.guesses[id] ?? id, values)}</li>`)}
          </ul>
          <p><b>${words.lesson.say}:</b> ${prose(own?.say ?? '', values)}</p>
          <div class="write small muted">${words.lesson.sheetAnswer}</div>
        </section>`;
      })}
    </div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'lesson-sheet': LessonSheet;
  }
}
