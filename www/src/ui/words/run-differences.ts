/** What sets runs apart: the settings in which their recipes differ. */
import { evaluationFigures } from '../../engine/index.js';
import type { Evaluation, RunRecord } from '../../engine/index.js';
import { figure } from './format.js';

/** Dotted keys with more than one value among the runs. A setting that an older recipe does not have yet is no difference. */
export function differences(records: RunRecord[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const run of records) {
    for (const [key, value] of Object.entries(flat(run.recipe))) {
      values.set(key, (values.get(key) ?? new Set()).add(JSON.stringify(value)));
    }
  }
  return [...values].filter(([, different]) => different.size > 1).map(([key]) => key);
}

/** A run's value of a setting, in words. */
export function setting(run: RunRecord, key: string): string {
  const value = flat(run.recipe)[key];
  if (value === undefined || value === null) return '–';
  if (Array.isArray(value)) return value.length > 0 ? value.join(', ') : '–';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** What was measured beside the loss. */
export function measured(evaluation: Evaluation | null): string | null {
  const first = evaluation && evaluationFigures(evaluation, 'first')[0];
  return first ? `${first.name} ${figure(first)}` : null;
}

/** `train.learning_rate` → its value; a list is one value. */
function flat(place: object, path = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(place).flatMap(([key, value]: [string, unknown]) => {
      const full = path === '' ? key : `${path}.${key}`;
      const isSection = typeof value === 'object' && value !== null && !Array.isArray(value);
      return isSection ? Object.entries(flat(value, full)) : [[full, value]];
    }),
  );
}
