import { LitElement, css, html, unsafeCSS, type PropertyValues } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import uPlot from 'uplot';
import uplotCss from 'uplot/dist/uPlot.min.css?inline';
import { capital, loss } from '../words/format.js';
import type { StepReport } from '../../engine/index.js';
import { drawn, heldOut, lineNames, probed, smoothed, trained } from './losses.js';
import { axisStyle, resolved } from './theme.js';
import { lastValues } from './words.js';

const HEIGHT = 280;

/** Training and validation loss over the steps, live, or what is drawn in its place; and the loss on general text. */
@customElement('loss-chart')
export class LossChart extends LitElement {
  static override styles = [
    unsafeCSS(uplotCss),
    css`
      :host {
        display: block;
        min-height: ${HEIGHT}px;
      }
      .u-legend {
        display: flex;
        flex-wrap: wrap;
        justify-content: flex-start;
        padding-left: 48px;
        gap: 2px 16px;
        color: var(--ink);
        font-family: var(--sans);
        font-size: 0.84rem;
      }
      .u-legend .u-value {
        min-width: 3.5em;
        font-variant-numeric: tabular-nums;
      }
      .u-legend th {
        font-weight: 600;
      }
      /* Its place is kept, so that nothing moves when its first value comes. */
      .u-legend .u-series[hidden] {
        visibility: hidden;
      }
      .visually-hidden {
        position: absolute;
        clip-path: inset(50%);
      }
    `,
  ];
  @property({ attribute: false }) reports: StepReport[] = [];
  @property({ type: Number }) totalSteps = 0;
  @query('.chart') private place!: HTMLElement;
  private plot: uPlot | null = null;
  private readonly resize = new ResizeObserver(() => {
    // In a view that is not shown it has no width.
    if (this.clientWidth > 0) this.plot?.setSize({ width: this.clientWidth, height: HEIGHT });
    this.tellLast();
  });
  private readonly darkness = matchMedia('(prefers-color-scheme: dark)');
  private readonly redraw = () => this.draw();

  override connectedCallback(): void {
    super.connectedCallback();
    this.resize.observe(this);
    window.addEventListener('themechange', this.redraw);
    this.darkness.addEventListener('change', this.redraw);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resize.disconnect();
    window.removeEventListener('themechange', this.redraw);
    this.darkness.removeEventListener('change', this.redraw);
    this.plot?.destroy();
    this.plot = null;
  }

  override render() {
    const last = this.reports.at(-1);
    const [steps = [], ...lines] = this.series();
    const names = this.labels();
    const words = lastValues(
      [...steps],
      lines.map((values, place) => ({ name: names[place] ?? '', values: [...values] })),
    );
    const text = last ? `Step ${last.step} of ${this.totalSteps}: ${words}` : 'No steps yet';
    const over = (last && drawn(last)?.name) ?? 'loss';
    return html`<div class="chart" role="img" aria-label=${`${capital(over)} over steps. ${text}.`}></div>`;
  }

  protected override updated(changed: PropertyValues): void {
    const isProbed = this.reports.some((report) => report.base_probe_loss !== null);
    const label = this.labels()[0];
    const isDrawn = this.plot?.series[4]?.show === isProbed && this.plot.series[1]?.label === label;
    if (!isDrawn || changed.has('totalSteps')) this.draw();
    else this.plot?.setData(this.series());
    this.tellWhatIsDrawn();
    this.tellLast();
  }

  /** Without a cursor the legend tells the last step. */
  private tellLast(): void {
    if (this.plot?.cursor.idx == null && this.reports.length > 0)
      this.plot?.setLegend({ idx: this.reports.length - 1 });
  }

  /** Lines without any value have no place in the legend. */
  private tellWhatIsDrawn(): void {
    const lines = this.plot?.data ?? [];
    this.place.querySelectorAll<HTMLElement>('.u-series').forEach((entry, place) => {
      entry.hidden = this.reports.length > 0 && !lines[place]?.some((value) => value != null);
    });
  }

  /** The lines' names, in the order of `series`. */
  private labels(): [string, string, string, string] {
    const [training, validation] = lineNames(this.reports);
    return [training, `${training}, smoothed`, validation, 'Forgetting probe'];
  }

  private series(): uPlot.AlignedData {
    const training = this.reports.map(trained);
    return [
      this.reports.map((report) => report.step),
      training,
      smoothed(training),
      this.reports.map(heldOut),
      this.reports.map(probed),
    ];
  }

  /** Colours are read from the page's theme, so a theme change draws anew. */
  private draw(): void {
    if (!this.isConnected) return;
    this.plot?.destroy();
    const color = (name: string) => resolved(this.place, `var(${name})`);
    const value = (_: uPlot, raw: number | null | undefined) => (raw == null ? '–' : loss(raw));
    const axis = axisStyle(this.place);
    this.plot = new uPlot(
      {
        width: this.clientWidth || 600,
        height: HEIGHT,
        scales: { x: { time: false, range: (_, __, max) => [0, Math.max(this.totalSteps, max, 1)] } },
        axes: [
          {
            ...axis,
            label: 'step',
            labelSize: 18,
            size: 32,
            labelFont: axis.font,
            incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
          },
          { ...axis, size: 48 },
        ],
        series: [
          { label: 'Step' },
          {
            label: this.labels()[0],
            stroke: color('--accent'),
            alpha: 0.35,
            width: 1.5,
            points: { show: false },
            value,
          },
          {
            label: this.labels()[1],
            stroke: color('--accent'),
            width: 2.5,
            points: { show: false },
            value,
          },
          {
            label: this.labels()[2],
            stroke: color('--second'),
            width: 2.5,
            spanGaps: true,
            points: { show: true, size: 7, fill: color('--second') },
            value,
          },
          {
            label: this.labels()[3],
            show: this.reports.some((report) => report.base_probe_loss !== null),
            stroke: color('--good'),
            width: 2,
            dash: [6, 4],
            spanGaps: true,
            points: { show: true, size: 6, fill: color('--good') },
            value,
          },
        ],
        cursor: { y: false },
        legend: { live: true },
      },
      this.series(),
      this.place,
    );
    this.tellWhatIsDrawn();
    this.tellLast();
  }
}
