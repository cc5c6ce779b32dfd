/** The lines of a run: what it learns from, what is held out, and general text. */
import { evaluationFigures, stepFigures } from '../../engine/index.js';
import type { Figure, StepReport } from '../../engine/index.js';
import { capital } from '../words/format.js';

/** Weight of the past in the smoothed line. */
const SMOOTHING = 0.75;

/** What the objective is about, where that is not the loss. */
export function drawn(report: StepReport): Figure | undefined {
  return stepFigures(report, 'loss')[0];
}

export function trained(report: StepReport): number {
  return drawn(report)?.value ?? report.loss;
}

export function smoothed(values: number[]): number[] {
  let smooth: number | null = null;
  return values.map(
    (value) => (smooth = smooth === null ? value : SMOOTHING * smooth + (1 - SMOOTHING) * value),
  );
}

/** Null at a step without a validation. */
export function heldOut({ evaluation }: StepReport): number | null {
  const [figure] = evaluation ? evaluationFigures(evaluation, 'loss') : [];
  return figure?.value ?? evaluation?.loss ?? null;
}

/** The loss on general text; null where it was not measured. */
export function probed(report: StepReport): number | null {
  return report.probe_loss ?? report.base_probe_loss;
}

/** The names of the lines of training and of validation. */
export function lineNames(reports: StepReport[]): [string, string] {
  const name = reports[0] && drawn(reports[0])?.name;
  return name ? [capital(name), `Validation ${name}`] : ['Training', 'Validation'];
}
