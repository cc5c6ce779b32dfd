import { html, svg } from 'lit';

export interface Bin {
  from: number;
  to: number;
  count: number;
}

const WIDTH = 320;
const HEIGHT = 120;
const BASE = 98;
const TOP = 16;

/** Bars over the bins; the tallest carries its count, the ends of the axis their values. */
export function histogram(bins: Bin[], unit: string, counted: string) {
  const tallest = Math.max(1, ...bins.map((bin) => bin.count));
  const step = WIDTH / Math.max(1, bins.length);
  const label = bins.map((bin) => `${bin.from} to ${bin.to} ${unit}: ${bin.count} ${counted}`).join('; ');
  const bars = bins.map((bin, index) => {
    const height = ((BASE - TOP) * bin.count) / tallest;
    return svg`<rect x=${index * step + 1} y=${BASE - height} width=${Math.max(1, step - 2)} height=${height} rx="2">
      <title>${bin.from}–${bin.to} ${unit}: ${bin.count} ${counted}</title></rect>
      ${
        bin.count === tallest
          ? svg`<text x=${(index + 0.5) * step} y=${BASE - height - 4} text-anchor="middle">${bin.count}</text>`
          : ''
      }`;
  });
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${label}>
    ${bars}
    ${svg`<line x1="0" y1=${BASE} x2=${WIDTH} y2=${BASE}></line>
      <text x="0" y=${BASE + 16}>${bins[0]?.from ?? 0}</text>
      <text x=${WIDTH} y=${BASE + 16} text-anchor="end">${bins.at(-1)?.to ?? 0} ${unit}</text>`}
  </svg>`;
}
