import { ContextProvider } from '@lit/context';
import { LitElement, css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { keyed } from 'lit/directives/keyed.js';
import { logo } from '../page/logo.js';
import '../page/privacy-line.js';
import '../page/theme-toggle.js';
import { errorNotice } from '../ui/components/error-notice.js';
import { problem, type Problem } from '../ui/problem.js';
import { shared } from '../ui/styles.js';
import { workspaceContext } from '../ui/workspace-element.js';
import { hashOf, placeOf, type Place } from './address.js';
import { unpack } from './class-link.js';
import { COURSE } from './course/course.js';
import { Lab } from './lab.js';
import { fill, type Fields, type Lesson, type Version } from './lesson.js';
import './lesson-sheet.js';
import './lesson-view.js';
import { Progress, type Shelf } from './progress.js';
import { prose, proseStyle } from './prose.js';
import './share-panel.js';
import type { Words } from './words/words.js';

/** The page of lessons: a list of them, or one of them. */
@customElement('lessons-app')
export class LessonsApp extends LitElement {
  static override styles = [
    shared,
    proseStyle,
    css`
      header {
        position: sticky;
        top: 0;
        z-index: 4;
        border-bottom: 1px solid var(--line);
        background: color-mix(in srgb, var(--paper) 92%, transparent);
        backdrop-filter: blur(10px);
      }
      .bar,
      main {
        max-width: 1160px;
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
        color: var(--ink);
        font-weight: 700;
        font-size: 1.1rem;
        letter-spacing: -0.01em;
        text-decoration: none;
      }
      main {
        padding-bottom: 72px;
      }
      main:focus {
        outline: none;
      }
      .crumb {
        margin: 20px 0 0;
        font-size: 0.9rem;
      }
      h1 {
        margin: 48px 0 10px;
        font-size: clamp(1.6rem, 4.2vw, 2.35rem);
        line-height: 1.15;
        letter-spacing: -0.025em;
        text-wrap: balance;
      }
      .lead {
        max-width: 62ch;
        color: var(--muted);
        font-size: 1.05rem;
      }
      ol {
        margin: 32px 0;
        padding: 0;
        list-style: none;
        border-top: 1px solid var(--line);
      }
      .lesson {
        display: grid;
        grid-template-columns: 48px minmax(0, 1fr) auto;
        gap: 4px 16px;
        align-items: center;
        padding: 22px 0;
        border-bottom: 1px solid var(--line);
      }
      .number {
        grid-row: span 2;
        align-self: start;
        color: var(--accent);
        font-size: 1.7rem;
        font-weight: 650;
        line-height: 1.2;
      }
      h2 {
        margin: 0;
        font-size: 1.15rem;
        letter-spacing: -0.01em;
      }
      .goal {
        grid-column: 2;
        max-width: 62ch;
        margin: 0;
        color: var(--muted);
      }
      .open {
        grid-column: 3;
        grid-row: 1 / span 2;
        text-decoration: none;
      }
      .foot {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 8px 20px;
        margin-top: 36px;
        font-size: 0.9rem;
      }
      .note {
        margin-top: 20px;
      }
      @media (max-width: 640px) {
        .bar,
        main {
          padding-left: 16px;
          padding-right: 16px;
        }
        .lesson {
          grid-template-columns: 32px minmax(0, 1fr);
        }
        .open {
          grid-column: 2;
          grid-row: auto;
          justify-self: start;
          margin-top: 10px;
        }
        .number {
          font-size: 1.3rem;
        }
        h1 {
          margin-top: 28px;
        }
      }
      @media (max-height: 420px) {
        header {
          position: static;
        }
      }
      @media print {
        header,
        .crumb {
          display: none;
        }
      }
    `,
  ];

  /** Given before it is put into a document. */
  @property({ attribute: false }) lab!: Lab;
  @property({ attribute: false }) words!: Words;
  /** Where progress is kept. */
  @property({ attribute: false }) shelf!: Shelf;
  @state() private place: Place = placeOf('');
  @state() private open: { lesson: Lesson; progress: Progress } | null = null;
  @state() private error: Problem | null = null;
  @state() private mayForget = false;
  private version: Version | null = null;
  private readonly provider = new ContextProvider(this, { context: workspaceContext });
  private readonly follow = () => void this.show();

  override connectedCallback(): void {
    this.provider.setValue(this.lab.workspace);
    super.connectedCallback();
    window.addEventListener('hashchange', this.follow);
    void this.show();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener('hashchange', this.follow);
  }

  override render() {
    return html`
      <header>
        <div class="bar">
          <a class="brand" href="./" title=${this.words.course.studio}>${logo} Loralet</a>
          <privacy-line></privacy-line>
          <theme-toggle></theme-toggle>
        </div>
      </header>
      <main tabindex="-1">${this.open ? this.lessonView(this.open) : this.list()}</main>
    `;
  }

  private list() {
    const { course } = this.words;
    return html`
      <h1>${course.title}</h1>
      <p class="lead">${prose(course.lead)}</p>
      ${errorNotice(this.error, 'class-error')}
      <ol>
        ${COURSE.map((lesson, place) => this.entry(lesson, place))}
      </ol>
      <p class="muted">${prose(course.teachers)}</p>
    `;
  }

  private entry(lesson: Lesson, place: number) {
    const { course, lessons } = this.words;
    const said = lessons[lesson.id];
    const progress = new Progress(this.shelf, keyOf(lesson.id, null));
    const isOver = progress.at >= lesson.steps.length;
    const [from, to] = lesson.minutes;
    return html`<li class="lesson">
      <span class="number" aria-hidden="true">${place + 1}</span>
      <h2>${said?.title}</h2>
      <p class="goal">
        ${prose(said?.goal ?? '')}
        <br /><span class="small">${fill(course.minutes, { from: String(from), to: String(to) })}</span>
      </p>
      <a class="button open" data-test=${`open-${lesson.id}`} href=${hashOf(lesson.id)}
        >${isOver ? course.again : progress.begun ? course.goOn : course.begin}<span class="visually-hidden"
          >: ${said?.title}</span
        ></a
      >
    </li>`;
  }

  private lessonView({ lesson, progress }: { lesson: Lesson; progress: Progress }) {
    const { lesson: said } = this.words;
    const { packed, sheet } = this.place;
    const crumb = html`<p class="crumb">
      <a href=${sheet ? hashOf(lesson.id, packed) : '#'}
        >← ${sheet ? this.words.lessons[lesson.id]?.title : said.all}</a
      >
    </p>`;
    if (sheet) return html`${crumb}<lesson-sheet .lesson=${lesson} .words=${this.words}></lesson-sheet>`;
    return html`
      ${crumb}
      ${
        packed
          ? html`<p class="notice" data-test="class-version">
              ${said.classVersion} <a href=${hashOf(lesson.id)}>${said.ownVersion}</a>
            </p>`
          : nothing
      }
      ${keyed(
        // A view follows one progress.
        progress,
        html`<lesson-view
          .lesson=${lesson}
          .words=${this.words}
          .lab=${this.lab}
          .progress=${progress}
          @field=${(event: CustomEvent<{ name: string; value: string }>) => this.field(event.detail)}
        ></lesson-view>`,
      )}
      <share-panel .lesson=${lesson} .words=${this.words}></share-panel>
      <p class="foot">
        <a data-test="sheet-link" href=${hashOf(lesson.id, packed, true)}>${said.sheet}</a>
        <button class="plain" data-test="anew" @click=${this.forget}>${said.anew}</button>
        <span role="status">${this.mayForget ? said.anewSure : ''}</span>
      </p>
    `;
  }

  /** What the address says. */
  private async show(): Promise<void> {
    const place = placeOf(window.location.hash);
    const lesson = COURSE.find(({ id }) => id === place.lesson);
    this.error = null;
    this.mayForget = false;
    if (!lesson) {
      Object.assign(this, { place: placeOf(''), open: null });
      return;
    }
    try {
      this.version = place.packed ? await unpack(place.packed) : null;
    } catch (error) {
      Object.assign(this, { place: placeOf(''), open: null, error: problem(error) });
      return;
    }
    const progress = new Progress(this.shelf, keyOf(lesson.id, place.packed));
    this.place = place;
    this.open = { lesson: versionOf(lesson, this.version, progress.fields), progress };
    if (!place.sheet) void this.lab.open();
  }

  private field({ name, value }: { name: string; value: string }): void {
    const { open } = this;
    const lesson = COURSE.find(({ id }) => id === open?.lesson.id);
    if (!open || !lesson) return;
    open.progress.field(name, value);
    this.open = { ...open, lesson: versionOf(lesson, this.version, open.progress.fields) };
  }

  /** Asks once more before it deletes what a pupil has done. */
  private forget(): void {
    if (this.mayForget) {
      this.open?.progress.forget();
      void this.show();
    } else this.mayForget = true;
  }
}

/** The lesson as a class has it, and as a pupil has chosen. */
function versionOf(lesson: Lesson, version: Version | null, chosen: Fields): Lesson {
  const own = (fields: Fields) =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => name in lesson.fields));
  return {
    ...lesson,
    rows: version?.rows ?? lesson.rows,
    settings: { ...lesson.settings, ...version?.settings },
    fields: { ...lesson.fields, ...own(version?.fields ?? {}), ...own(chosen) },
  };
}

/** Each version of a lesson has progress of its own. */
function keyOf(id: string, packed: string | null): string {
  return `loralet lesson ${id}${packed ? ` ${digest(packed)}` : ''}`;
}

/** FNV-1a, 32 bits: https://www.rfc-editor.org/rfc/rfc9923. */
function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (const letter of text) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return hash.toString(16);
}

declare global {
  interface HTMLElementTagNameMap {
    'lessons-app': LessonsApp;
  }
}
