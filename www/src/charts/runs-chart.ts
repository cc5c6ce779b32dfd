import { LitElement, css, html, unsafeCSS } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import uPlot from 'uplot';
import uplotCss from 'uplot/dist/uPlot.min.css?inline';
import type { CurvePoint } from '../storage/runs.js';
import { axisStyle, resolved } from './theme.js';

const HEIGHT = 280;
/** Weight of the past in the smoothed training loss. */
const SMOOTHING = 0.75;

export interface Curve {
  /** What the table calls the run. */
  name: string;
  color: string;
  points: CurvePoint[];
}

/** The losses of several runs, one over the other: validation as a line with points, training as a thin one. */
@customElement('runs-chart')
export class RunsChart extends LitElement {
  static override styles = [
    unsafeCSS(uplotCss),
    css`
      :host {
        display: block;
        min-height: ${HEIGHT}px;
      }
    `,
  ];
  @property({ attribute: false }) curves: Curve[] = [];
  @query('.chart') private place!: HTMLElement;
  private plot: uPlot | null = null;
  private readonly resize = new ResizeObserver(() =>
    this.plot?.setSize({ width: this.clientWidth, height: HEIGHT }),
  );
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
    const names = this.curves.map(({ name }) => name).join(', ');
    return html`<div
      class="chart"
      role="img"
      aria-label=${`Loss over steps of ${names || 'no run'}.`}
    ></div>`;
  }

  protected override updated(): void {
    this.draw();
  }

  private draw(): void {
    if (!this.isConnected || !this.hasUpdated) return;
    this.plot?.destroy();
    const axis = axisStyle(this.place);
    const color = (curve: Curve) => resolved(this.place, curve.color);
    this.plot = new uPlot(
      {
        width: this.clientWidth || 600,
        height: HEIGHT,
        scales: { x: { time: false, range: (_, __, max) => [0, Math.max(max, 1)] } },
        axes: [
          { ...axis, label: 'step', labelSize: 18, size: 32, labelFont: axis.font },
          { ...axis, size: 48 },
        ],
        series: [
          { label: 'Step' },
          ...this.curves.flatMap((curve) => [
            {
              label: `${curve.name}, training`,
              stroke: color(curve),
              alpha: 0.45,
              width: 1.25,
              spanGaps: true,
              points: { show: false },
            },
            {
              label: `${curve.name}, validation`,
              stroke: color(curve),
              width: 2.5,
              spanGaps: true,
              points: { show: true, size: 7, fill: color(curve) },
            },
          ]),
        ],
        cursor: { show: false },
        // The table beside it says which colour is which run.
        legend: { show: false },
      },
      this.series(),
      this.place,
    );
  }

  private series(): uPlot.AlignedData {
    const steps = new Set(this.curves.flatMap(({ points }) => points.map(({ step }) => step)));
    const x = [...steps].sort((a, b) => a - b);
    const aligned = this.curves.flatMap(({ points }) => {
      let smooth: number | null = null;
      const training = new Map(
        points.map(({ step, loss }) => {
          smooth = smooth === null ? loss : SMOOTHING * smooth + (1 - SMOOTHING) * loss;
          return [step, smooth];
        }),
      );
      const validation = new Map(points.map((point) => [point.step, point.validation]));
      return [x.map((step) => training.get(step) ?? null), x.map((step) => validation.get(step) ?? null)];
    });
    return [x, ...aligned];
  }
}
