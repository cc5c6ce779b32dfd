/** A chart in words: what its lines end with. */
import { loss } from '../words/format.js';

export interface Line {
  name: string;
  values: (number | null | undefined)[];
}

/** The last value of every line that has one: "Training 2.105, Validation 2.310 at step 40". */
export function lastValues(steps: number[], lines: Line[]): string {
  const last = steps.length - 1;
  const words = lines.flatMap(({ name, values }) => {
    const at = values.findLastIndex((value) => value != null);
    const value = values[at];
    if (value == null) return [];
    return [`${name} ${loss(value)}${at === last ? '' : ` at step ${steps[at]}`}`];
  });
  return words.join('; ');
}
