import { LitElement, css, html, nothing, svg } from 'lit';
import { property, state } from 'lit/decorators.js';
import type { StepReport } from '../../engine/index.js';
import { loss } from '../words/format.js';
import { drawn, heldOut, lineNames, probed, smoothed, trained } from './losses.js';

/** The space around the lines, in pixels. */
const LEFT = 38;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;
/** So many steps are drawn one by one; of more, every other, every third and so on. */
const MOST_POINTS = 600;

/** What the chart says, where it is not in English. */
export interface ChartNames {
  step: string;
  firstStep: string;
  /** Null for what the objective calls it. */
  training: string | null;
  validation: string | null;
  general: string;
  look: string;
}

const ENGLISH: ChartNames = {
  step: 'Step',
  firstStep: 'step 1',
  training: null,
  validation: null,
  general: 'General text',
  look: 'Look at a step',
};

interface Line {
  name: string;
  kind: 'training' | 'held-out' | 'general';
  /** A value for each report; null where there is none. */
  values: (number | null)[];
  /** The same as it is drawn: training is smoothed. */
  drawn: (number | null)[];
}

/**
 * The loss over the steps of a run, in any width from 200 px on. Its head names each line with its value at the last step, or
 * at the one that the pointer or the keyboard is on.
 */
export class CurveChart extends LitElement {
  static override styles = css`
    :host {
      display: block;
      position: relative;
      color: var(--muted);
      font-size: 0.8125em;
      font-variant-numeric: tabular-nums;
      line-height: 1.4;
    }
    .head {
      display: flex;
      flex-wrap: wrap;
      gap: 0 1.1em;
      min-height: 1.4em;
      margin: 0 0 2px;
    }
    .head.middle {
      min-height: 2.8em;
    }
    .head.narrow {
      min-height: 4.2em;
    }
    .head span {
      white-space: nowrap;
    }
    .head b {
      color: var(--ink);
      font-weight: 600;
    }
    .swatch {
      display: inline-block;
      width: 18px;
      height: 8px;
      margin-right: 5px;
      vertical-align: 0.05em;
      overflow: visible;
    }
    .plot {
      position: relative;
    }
    .plot > svg {
      display: block;
      width: 100%;
      overflow: visible;
    }
    .grid {
      stroke: var(--line);
      stroke-width: 1;
      shape-rendering: crispEdges;
    }
    text {
      fill: currentColor;
      font-size: 11px;
    }
    path {
      fill: none;
      stroke-linejoin: round;
      stroke-linecap: round;
    }
    .raw {
      stroke: var(--accent);
      stroke-width: 1;
      opacity: 0.35;
    }
    .training {
      stroke: var(--accent);
      stroke-width: 2.25;
    }
    .held-out {
      stroke: var(--second);
      stroke-width: 1.75;
    }
    circle.held-out {
      fill: var(--second);
    }
    circle.general {
      fill: var(--good);
    }
    circle.training {
      fill: var(--accent);
    }
    .general {
      stroke: var(--good);
      stroke-width: 1.75;
      stroke-dasharray: 5 4;
    }
    circle.held-out,
    circle.general,
    circle.training {
      stroke: var(--paper);
      stroke-width: 1.5;
      stroke-dasharray: none;
    }
    .cursor {
      stroke: var(--muted);
      stroke-width: 1;
      shape-rendering: crispEdges;
    }
    input {
      position: absolute;
      inset: 0;
      width: 100%;
      height: 100%;
      margin: 0;
      opacity: 0;
      cursor: crosshair;
      touch-action: pan-y;
    }
    .plot:focus-within {
      outline: 2px solid var(--accent);
      outline-offset: 2px;
      border-radius: 4px;
    }
    .plot:focus-within:not(:has(:focus-visible)) {
      outline: none;
    }
  `;
  @property({ attribute: false }) reports: StepReport[] = [];
  @property({ type: Number }) totalSteps = 0;
  /** What an empty chart says. */
  @property() empty = '';
  @property({ attribute: false }) names: ChartNames = ENGLISH;
  @state() private width = 320;
  /** The place of the report that is looked at; null for the last. */
  @state() private at: number | null = null;
  private readonly resize = new ResizeObserver(() => {
    if (this.clientWidth > 0) this.width = this.clientWidth;
  });

  override connectedCallback(): void {
    super.connectedCallback();
    this.resize.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resize.disconnect();
  }

  override render() {
    const { reports, width } = this;
    const height = this.height;
    const lines = this.lines();
    const at = this.place();
    return html`<div class=${`head ${room(this.width)}`} aria-hidden="true">
        ${
          reports.length > 0
            ? html`<span>${this.names.step} <b>${reports[at]?.step ?? 0}</b></span>
                ${lines.map((line) => head(line, at))}`
            : this.empty
        }
      </div>
      <div class="plot">
        <svg
          viewBox=${`0 0 ${width} ${height}`}
          height=${height}
          role="img"
          aria-label=${`${this.heading()}. ${this.told(reports.length - 1)}`}
        >
          ${this.axes()} ${reports.length > 0 ? this.drawing(lines, at) : nothing}
        </svg>
        ${
          reports.length > 1
            ? html`<input
                type="range"
                min="0"
                max=${reports.length - 1}
                .value=${String(at)}
                aria-label=${this.names.look}
                aria-valuetext=${this.told(at)}
                @input=${this.slide}
                @pointermove=${this.point}
                @pointerleave=${this.leave}
                @blur=${this.leave}
              />`
            : nothing
        }
      </div>`;
  }

  private heading(): string {
    const [first] = this.reports;
    const over = (first && drawn(first)?.name) ?? 'loss';
    return `${over.charAt(0).toUpperCase()}${over.slice(1)} over ${this.totalSteps} steps`;
  }

  /** The values of a step in words. */
  private told(at: number): string {
    const report = this.reports[at];
    if (!report) return 'No step yet';
    const values = this.lines().flatMap(({ name, values }) => {
      const value = latest(values, at);
      return value === null ? [] : [`${name} ${loss(value)}`];
    });
    return `${this.names.step} ${report.step}: ${values.join(', ')}`;
  }

  private place(): number {
    const last = this.reports.length - 1;
    return this.at === null ? last : Math.min(this.at, last);
  }

  private get height(): number {
    return Math.round(Math.min(230, Math.max(132, this.width * 0.4)));
  }

  private lines(): Line[] {
    const { reports } = this;
    const { names } = this;
    const isLoss = !reports[0] || drawn(reports[0]) === undefined;
    const [ofTraining, ofValidation] = lineNames(reports);
    const training = (isLoss && names.training) || ofTraining;
    const validation = (isLoss && names.validation) || ofValidation;
    const losses = reports.map(trained);
    const [validations, probes] = [reports.map(heldOut), reports.map(probed)];
    const lines: Line[] = [
      { name: training, kind: 'training', values: losses, drawn: smoothed(losses) },
      { name: validation, kind: 'held-out', values: validations, drawn: validations },
      { name: names.general, kind: 'general', values: probes, drawn: probes },
    ];
    return lines.filter(({ values }) => values.some((value) => value !== null));
  }

  /** From the smallest value to the largest, in round numbers. */
  private ticks(): number[] {
    const values = [...this.reports.map(trained), ...this.reports.flatMap((report) => heldOut(report) ?? [])];
    const probe = this.reports.flatMap((report) => probed(report) ?? []);
    const finite = [...values, ...probe].filter(Number.isFinite);
    if (finite.length === 0) return [0, 1, 2, 3];
    const [low, high] = finite.reduce(
      ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    );
    const step = roundStep(Math.max(high - low, 0.01) / 4.5);
    const from = Math.floor(low / step);
    const to = Math.max(Math.ceil(high / step), from + 1);
    return Array.from({ length: to - from + 1 }, (_, place) => (from + place) * step);
  }

  private x(step: number): number {
    const last = Math.max(this.totalSteps, this.reports.at(-1)?.step ?? 0, 2);
    return LEFT + ((step - 1) / (last - 1)) * (this.width - LEFT - RIGHT);
  }

  private y(value: number, ticks: number[]): number {
    const [low, high] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
    return TOP + (1 - (value - low) / (high - low)) * (this.height - TOP - BOTTOM);
  }

  private axes() {
    const ticks = this.ticks();
    const last = Math.max(this.totalSteps, this.reports.at(-1)?.step ?? 0, 2);
    const hasValues = this.reports.length > 0;
    const apart = Number(((ticks[1] ?? 1) - (ticks[0] ?? 0)).toPrecision(2));
    const decimals = String(apart).split('.')[1]?.length ?? 0;
    return svg`${ticks.map((tick) => {
      const y = Math.round(this.y(tick, ticks));
      return svg`<line class="grid" x1=${LEFT} x2=${this.width - RIGHT} y1=${y} y2=${y}></line>
        ${hasValues ? svg`<text x=${LEFT - 7} y=${y + 4} text-anchor="end">${tick.toFixed(decimals)}</text>` : nothing}`;
    })}
    ${
      hasValues
        ? svg`<text x=${this.x(1)} y=${this.height - 6}>${this.names.firstStep}</text>
            <text x=${this.width - RIGHT} y=${this.height - 6} text-anchor="end">${last}</text>`
        : nothing
    }`;
  }

  private drawing(lines: Line[], at: number) {
    const ticks = this.ticks();
    const steps = this.reports.map(({ step }) => step);
    const path = (values: (number | null)[]) => this.path(steps, values, ticks);
    const looked = this.reports[at];
    return svg`
      ${this.at !== null && looked ? svg`<line class="cursor" x1=${this.x(looked.step)} x2=${this.x(looked.step)} y1=${TOP} y2=${this.height - BOTTOM}></line>` : nothing}
      <path class="raw" d=${path(this.reports.map(trained))}></path>
      ${lines.map(({ kind, drawn }) => svg`<path class=${kind} d=${path(drawn)}></path>`)}
      ${lines.map(({ kind, values, drawn }) =>
        // The end of training is where it is; its line is smoothed.
        (kind === 'training' ? values : drawn).map((value, place) => {
          const isEnd = place === at && kind === 'training';
          return value === null || (kind === 'training' && !isEnd)
            ? nothing
            : svg`<circle class=${kind} cx=${this.x(steps[place] ?? 1)} cy=${this.y(value, ticks)} r="4"></circle>`;
        }),
      )}`;
  }

  private path(steps: number[], values: (number | null)[], ticks: number[]): string {
    const every = Math.ceil(values.length / MOST_POINTS);
    const points = values.flatMap((value, place) => {
      const isKept = place % every === 0 || place === values.length - 1;
      if (value === null || !Number.isFinite(value) || !isKept) return [];
      return [`${this.x(steps[place] ?? 1).toFixed(1)} ${this.y(value, ticks).toFixed(1)}`];
    });
    return points.length > 0 ? `M${points.join('L')}` : '';
  }

  private slide(event: Event): void {
    this.at = Number((event.target as HTMLInputElement).value);
  }

  /** The report nearest to the pointer. */
  private point(event: PointerEvent): void {
    const { left } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const x = event.clientX - left;
    const distances = this.reports.map(({ step }) => Math.abs(this.x(step) - x));
    this.at = distances.indexOf(Math.min(...distances));
  }

  private leave(): void {
    this.at = null;
  }
}

/** How many lines its head may take, so that nothing moves when a name is added. */
function room(width: number): string {
  if (width < 350) return 'narrow';
  return width < 480 ? 'middle' : '';
}

/** A line's name and value, with a sample of how it is drawn. */
function head({ name, kind, values }: Line, at: number) {
  const value = latest(values, at);
  if (value === null) return nothing;
  return html`<span
    ><svg class="swatch" viewBox="0 0 18 8">
      <path class=${kind} d="M1 4H17"></path>
      ${kind === 'training' ? nothing : svg`<circle class=${kind} cx="9" cy="4" r="3.5"></circle>`}</svg
    >${name} <b>${loss(value)}</b></span
  >`;
}

/** The value at a place, or the last one before it. */
function latest(values: (number | null)[], at: number): number | null {
  return values.slice(0, at + 1).findLast((value) => value !== null) ?? null;
}

/** 1, 2, 2.5 or 5 times a power of ten, no less than the step. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return ([1, 2, 2.5, 5].find((times) => times * power >= step) ?? 10) * power;
}

if (!customElements.get('loralet-chart')) customElements.define('loralet-chart', CurveChart);

declare global {
  interface HTMLElementTagNameMap {
    'loralet-chart': CurveChart;
  }
}
