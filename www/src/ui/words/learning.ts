/** Whether a run still gains anything, in a few words. */
import { stepFigures } from '../../engine/index.js';
import type { StepReport } from '../../engine/index.js';
import { overfitting } from './overfitting.js';

/** So many validations without a better one are more than noise. */
const PATIENCE = 3;
/** A gain of less than so much of the loss is none. */
const LEAST_GAIN = 0.005;
/** Without validations: two halves of so many steps are compared, at least. */
const LEAST_STEPS = 20;

/** Null where it is too early to say, or where the objective is about something else than its loss. */
export function learning(reports: StepReport[]): string | null {
  const [start] = reports;
  if (!start || stepFigures(start, 'loss').length > 0) return null;
  if (overfitting(reports)) return 'is learning by heart';
  const validations = reports.flatMap(({ evaluation }) => (evaluation ? [evaluation.loss] : []));
  return validations.length > 0 ? heldOut(validations) : trained(reports.map((report) => report.loss));
}

function heldOut(validations: number[]): string | null {
  const [first = 0] = validations;
  if (validations.length < 2) return null;
  const before = Math.min(...validations.slice(0, -PATIENCE));
  const since = Math.min(...validations.slice(-PATIENCE));
  if (validations.length > PATIENCE && since > before * (1 - LEAST_GAIN)) return 'has stopped improving';
  return Math.min(...validations) < first ? 'is learning' : null;
}

/** The mean of the later half of the last steps against that of the earlier half. */
function trained(losses: number[]): string | null {
  if (losses.length < LEAST_STEPS) return null;
  const span = Math.max(LEAST_STEPS, Math.floor(losses.length / 2));
  const half = Math.floor(span / 2);
  const last = losses.slice(-2 * half);
  const [earlier, later] = [mean(last.slice(0, half)), mean(last.slice(half))];
  return later > earlier * (1 - LEAST_GAIN) ? 'has stopped improving' : 'is learning';
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
