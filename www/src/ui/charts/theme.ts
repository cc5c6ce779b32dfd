/** Colours of the page's theme for canvases, which know nothing of custom properties. */

/** A CSS colour, `light-dark()` and custom properties resolved as they are at `place`. */
export function resolved(place: HTMLElement, color: string): string {
  const probe = place.ownerDocument.createElement('span');
  probe.style.color = color;
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** How every axis looks. */
export function axisStyle(place: HTMLElement) {
  const line = { stroke: resolved(place, 'var(--line)'), width: 1 };
  return {
    stroke: resolved(place, 'var(--muted)'),
    grid: line,
    ticks: line,
    font: `12px ${getComputedStyle(place).fontFamily}`,
  };
}

/** The colour of a run by its place in the table: neighbours are far apart on the colour wheel. */
export function runColor(place: number): string {
  const hue = Math.round(250 + place * 137.5) % 360;
  return `light-dark(hsl(${hue} 62% 40%), hsl(${hue} 75% 70%))`;
}
