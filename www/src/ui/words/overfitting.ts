/** Tells learning by heart from learning: the held-out loss rises while the training loss falls. */
import { stepFigures } from '../../engine/index.js';
import type { StepReport } from '../../engine/index.js';

/** So many validations in a row above the best one are more than noise. */
const RISES = 3;

/** A sentence while the gap is open, else null. */
export function overfitting(reports: StepReport[]): string | null {
  const places = reports.flatMap((report, place) => (report.evaluation ? [place] : []));
  const validation = (place: number) => reports[place]?.evaluation?.loss ?? Number.POSITIVE_INFINITY;
  const [first, ...rest] = places;
  const start = reports[0];
  // Where something else is drawn in its place, the loss in training says nothing.
  if (first === undefined || !start || stepFigures(start, 'loss').length > 0) return null;
  const best = rest.reduce((low, place) => (validation(place) < validation(low) ? place : low), first);
  const after = places.filter((place) => place > best);
  const now = after.at(-1);
  if (now === undefined || after.length < RISES) return null;
  // Single steps are noisy: each side is the mean of as many steps as lie between two validations.
  const span = Math.max(1, Math.floor((now - best) / after.length));
  const training = (place: number) => {
    const steps = reports.slice(Math.max(0, place + 1 - span), place + 1);
    return steps.reduce((sum, report) => sum + report.loss, 0) / steps.length;
  };
  if (training(now) >= training(best)) return null;
  const step = reports[best]?.step ?? 0;
  return (
    `The validation loss was lowest at step ${step} and has been higher at all ${after.length} validations since, ` +
    'while the training loss went on falling: the model is learning these rows by heart. Stop here, or use fewer ' +
    'epochs, more rows, a lower rank or early stopping.'
  );
}
