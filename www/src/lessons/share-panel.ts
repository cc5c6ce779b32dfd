import { LitElement, css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { shared } from '../ui/styles.js';
import { addressOf } from './address.js';
import { LONGEST, pack } from './class-link.js';
import { fill, type Fields, type Lesson, type Row, type Version } from './lesson.js';
import { prose, proseStyle } from './prose.js';
import type { Words } from './words/words.js';

const FEWEST_ROWS = 4;

/** For a teacher: what the lesson is about, and what it learns from, in a link. */
@customElement('share-panel')
export class SharePanel extends LitElement {
  static override styles = [
    shared,
    proseStyle,
    css`
      details {
        margin-top: 36px;
        padding: 14px 20px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--card);
      }
      .fields {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(220px, 1fr));
        gap: 12px 20px;
        margin: 4px 0 16px;
      }
      textarea {
        min-height: 220px;
        font-family: var(--mono);
        font-size: 0.84rem;
        white-space: pre;
        resize: vertical;
      }
      .link {
        margin-top: 12px;
      }
    `,
  ];
  @property({ attribute: false }) lesson!: Lesson;
  @property({ attribute: false }) words!: Words;
  @state() private fields: Fields = {};
  @state() private steps = '';
  @state() private lines: string | null = null;
  @state() private said = '';
  @state() private problem = '';
  @state() private link = '';

  override render() {
    const { share } = this.words;
    const { lesson } = this;
    const names = this.words.lessons[lesson.id]?.fields ?? {};
    return html`<details data-test="share">
      <summary>${share.title}</summary>
      <p class="muted">${prose(share.lead)}</p>
      <div class="fields">
        ${Object.keys(lesson.fields).map(
          (name) =>
            html`<div>
              <label for=${`share-${name}`}>${names[name]} <code>{${name}}</code></label>
              <input
                id=${`share-${name}`}
                maxlength="24"
                .value=${this.fields[name] ?? lesson.fields[name] ?? ''}
                @input=${(event: Event) => this.change({ fields: { ...this.fields, [name]: valueOf(event) } })}
              />
            </div>`,
        )}
        <div>
          <label for="share-steps">${share.steps}</label>
          <input
            id="share-steps"
            type="number"
            min="1"
            max="2000"
            .value=${this.steps || String(lesson.settings['train.max_steps'])}
            @input=${(event: Event) => this.change({ steps: valueOf(event) })}
          />
        </div>
      </div>
      <label for="share-rows">${share.rows}</label>
      <p class="small muted" id="rows-hint">${share.rowsHint}</p>
      <textarea
        id="share-rows"
        spellcheck="false"
        aria-describedby="rows-hint"
        .value=${this.lines ?? asLines(lesson.rows)}
        @input=${(event: Event) => this.change({ lines: valueOf(event) })}
      ></textarea>
      <div class="row link">
        <button class="primary" data-test="copy-link" @click=${this.copy}>${share.copy}</button>
        <span class="small muted" role="status" data-test="link-said">${this.said}</span>
      </div>
      ${this.problem ? html`<p class="notice error" role="alert" data-test="link-error">${this.problem}</p>` : nothing}
      ${
        this.link
          ? html`<p class="small" style="overflow-wrap: anywhere">
              <a data-test="class-link" href=${this.link}>${this.link}</a>
            </p>`
          : nothing
      }
    </details>`;
  }

  private change(news: { fields?: Fields; steps?: string; lines?: string }): void {
    Object.assign(this, news, { said: '', problem: '', link: '' });
  }

  private async copy(): Promise<void> {
    const { share } = this.words;
    this.change({});
    const version = this.version();
    if (!version) return;
    const link = addressOf(this.lesson.id, await pack(version));
    if (link.length > LONGEST) {
      this.problem = fill(share.tooLong, { size: String(link.length), most: String(LONGEST) });
      return;
    }
    this.link = link;
    const size = fill(share.size, { size: String(link.length), most: String(LONGEST) });
    // Where the clipboard is refused the link stands below.
    const copied = await navigator.clipboard.writeText(link).then(
      () => `${share.copied} `,
      () => '',
    );
    this.said = copied + size;
  }

  /** Null where it cannot be, which is said. */
  private version(): Version | null {
    const { share } = this.words;
    const { lesson } = this;
    const rows: Row[] = [];
    const lines = (this.lines ?? asLines(lesson.rows)).split('\n');
    for (const [place, line] of lines.entries()) {
      if (!line.trim()) continue;
      const [prompt, ...completion] = line.split('|').map((part) => part.trim());
      // Where the model answers by itself there are only questions.
      const isAnswered = completion.join('') !== '' || lesson.rows.every((row) => row.completion === '');
      if (!prompt || !isAnswered) {
        this.problem = fill(share.badRow, { line: String(place + 1) });
        return null;
      }
      rows.push({ prompt, completion: completion.join(' | ') });
    }
    if (rows.length < FEWEST_ROWS) {
      this.problem = share.noRows;
      return null;
    }
    const steps = Math.round(Number(this.steps)) || Number(lesson.settings['train.max_steps']);
    return {
      fields: { ...lesson.fields, ...this.fields },
      rows,
      settings: { ...lesson.settings, 'train.max_steps': steps },
    };
  }
}

function asLines(rows: Row[]): string {
  return rows.map(({ prompt, completion }) => (completion ? `${prompt} | ${completion}` : prompt)).join('\n');
}

function valueOf(event: Event): string {
  return (event.target as HTMLInputElement | HTMLTextAreaElement).value;
}

declare global {
  interface HTMLElementTagNameMap {
    'share-panel': SharePanel;
  }
}
