import { LitElement, css, html, unsafeCSS } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import uPlot from 'uplot';
import uplotCss from 'uplot/dist/uPlot.min.css?inline';
import type { CurvePoint } from '../../engine/index.js';
import { axisStyle, resolved } from './theme.js';
import { lastValues } from './words.js';

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
  private readonly resize = new ResizeObserver(() => {
    // In a view that is not shown it has no width.
    if (this.clientWidth > 0) this.plot?.setSize({ width: this.clientWidth, height: HEIGHT });
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
    const runs = this.curves.map(({ name, points }) => {
      const words = lastValues(
        points.map(({ step }) => step),
        [
          { name: 'training', values: points.map(({ loss }) => loss) },
          { name: 'validation', values: points.map(({ validation }) => validation) },
        ],
      );
      return `${name} up to step ${points.at(-1)?.step ?? 0}: ${words || 'no loss yet'}.`;
    });
    const label = `Loss over steps of ${runs.length > 0 ? runs.join(' ') : 'no run.'}`;
    return html`<div class="chart" role="img" aria-label=${label}></div>`;
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
        // Each line ends in its run's name, so that colours are not needed to tell them apart.
        legend: { show: false },
        padding: [null, 52, null, null],
        hooks: { draw: [(plot) => this.nameEnds(plot)] },
      },
      this.series(),
      this.place,
    );
  }

  private nameEnds(plot: uPlot): void {
    const { ctx } = plot;
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    for (const curve of this.curves) {
      const end = curve.points.findLast(({ validation }) => validation != null) ?? curve.points.at(-1);
      if (!end) continue;
      ctx.fillStyle = resolved(this.place, curve.color);
      const x = plot.valToPos(end.step, 'x', true) + 7 * devicePixelRatio;
      ctx.fillText(curve.name, x, plot.valToPos(end.validation ?? end.loss, 'y', true));
    }
    ctx.restore();
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
