import { css, html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Store } from '../ui/stores/store.js';
import { shared } from '../ui/styles.js';
import { WorkspaceElement } from '../ui/workspace-element.js';
import type { Workspace } from '../ui/workspace.js';
import { nextView, viewStates } from './view-states.js';
import { VIEWS, type View, type ViewName } from './views.js';

/** The views with the state of each: beside the view, above it, or as a bar at the bottom of a phone. */
@customElement('view-rail')
export class ViewRail extends WorkspaceElement {
  static override styles = [
    shared,
    css`
      ol {
        display: grid;
        gap: 2px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      a {
        display: grid;
        grid-template-columns: 20px 58px minmax(0, 1fr);
        gap: 10px;
        align-items: center;
        min-height: 40px;
        padding: 0 10px;
        border-radius: 8px;
        color: var(--ink);
        font-weight: 600;
        font-size: 0.94rem;
        text-decoration: none;
      }
      a:hover {
        background: var(--sunken);
      }
      a[aria-current] {
        background: var(--accent-soft);
        color: var(--accent);
      }
      .mark {
        display: inline-grid;
        place-items: center;
        width: 20px;
        height: 20px;
        border: 1.5px solid var(--line-strong);
        border-radius: 50%;
        font-size: 0.68rem;
        font-weight: 700;
      }
      .done .mark {
        border-color: var(--good);
        background: var(--good-soft);
        color: var(--good);
      }
      .next .mark {
        border-color: var(--accent);
        background: var(--accent);
        color: var(--on-accent);
      }
      .state {
        overflow: hidden;
        color: var(--muted);
        font-weight: 400;
        font-size: 0.8rem;
        font-variant-numeric: tabular-nums;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .other {
        margin-top: 10px;
        padding-top: 10px;
        border-top: 1px solid var(--line);
      }
      @media (max-width: 1099px) {
        ol {
          grid-auto-flow: column;
          grid-auto-columns: minmax(0, 1fr);
          gap: 4px;
        }
        a {
          display: flex;
          flex-wrap: wrap;
          gap: 1px 7px;
          justify-content: center;
          align-content: center;
          min-height: 48px;
          padding: 4px 2px;
          font-size: 0.88rem;
        }
        .mark {
          width: 18px;
          height: 18px;
          font-size: 0.62rem;
        }
        .state {
          flex: 1 1 100%;
          min-height: 1.3em;
          font-size: 0.75rem;
          line-height: 1.3;
          text-align: center;
        }
        .other {
          margin: 0;
          padding: 0;
          border: 0;
        }
      }
      @media (max-width: 699px) {
        ol {
          gap: 0;
          max-width: 640px;
          margin: 0 auto;
        }
        a {
          flex-flow: column nowrap;
          gap: 2px;
          min-height: 50px;
          padding: 3px 0;
          border-radius: 0;
          font-size: 0.72rem;
          line-height: 1.2;
        }
        a[aria-current] {
          background: none;
          box-shadow: inset 0 2px 0 var(--accent);
        }
        .state {
          position: absolute;
          width: 1px;
          height: 1px;
          clip-path: inset(50%);
        }
      }
      @media (max-width: 360px) {
        a {
          font-size: 0.62rem;
          letter-spacing: -0.02em;
        }
      }
    `,
  ];
  @property() current: ViewName = 'data';

  protected override watched(workspace: Workspace): Store[] {
    const { compare, data, model, recipe, runs, search, training } = workspace;
    return [compare, data, model, recipe, runs, search, training];
  }

  override render() {
    const states = viewStates(this.workspace);
    const next = nextView(this.workspace);
    return html`<nav aria-label="Views">
      <ol>
        ${VIEWS.map((view, place) => this.link(view, place, states[view.id].text, states[view.id].done, next))}
        <li class="other">
          <a href="./lessons.html" data-test="lessons">
            <span class="mark" aria-hidden="true">?</span>Lessons<span class="state"></span>
          </a>
        </li>
      </ol>
    </nav>`;
  }

  private link({ id, title }: View, place: number, text: string, done: boolean, next: ViewName | null) {
    const isNext = id === next;
    return html`<li class=${isNext ? 'next' : done ? 'done' : ''}>
      <a
        href=${`#${id}`}
        data-test=${`view-${id}`}
        aria-current=${this.current === id ? 'page' : nothing}
        @click=${() => this.dispatchEvent(new CustomEvent('chosen', { detail: id }))}
      >
        <span class="mark" aria-hidden="true">${isNext ? '→' : done ? '✓' : place + 1}</span
        ><span>${title}<span class="visually-hidden">${isNext ? ', next' : done ? ', done' : ''}</span></span
        ><span class="state" title=${text}><span class="visually-hidden">: </span>${text}</span>
      </a>
    </li>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'view-rail': ViewRail;
  }
}
