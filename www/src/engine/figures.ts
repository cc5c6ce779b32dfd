/** What objectives measure beside their losses, number by number: by the labels that the trainer's tests write. */
import labels from './figures.json';
import type { Evaluation, StepReport } from './types.js';

const RANKS = ['loss', 'first', 'summary', 'detail'] as const;

/**
 * How much room there must be for a number: `loss` is drawn in place of a loss that says nothing, `first` is the one beside
 * the loss, `summary` one of a few, `detail` one of all.
 */
export type Rank = (typeof RANKS)[number];

export interface Figure {
  /** As it stands within a sentence. */
  name: string;
  value: number;
  better: 'higher' | 'lower' | 'neither';
  /** A share is from 0 to 1. */
  unit: 'number' | 'share';
  rank: Rank;
  /** Whether both steps and evaluations have it. */
  everywhere: boolean;
}

/** What a number is called, and where it lies in the two kinds of reports. */
interface Label extends Omit<Figure, 'value' | 'everywhere'> {
  step: string | null;
  evaluation: string | null;
}

const LABELS = labels as Label[];

/** The numbers of a step beside its loss, up to a rank. */
export function stepFigures(report: StepReport, rank: Rank = 'detail'): Figure[] {
  return figures('step', report, rank);
}

/** The numbers of an evaluation beside its loss, up to a rank. */
export function evaluationFigures(evaluation: Evaluation, rank: Rank = 'detail'): Figure[] {
  return figures('evaluation', evaluation, rank);
}

function figures(place: 'step' | 'evaluation', report: object, most: Rank): Figure[] {
  return LABELS.flatMap(({ step, evaluation, ...label }) => {
    const keys = { step, evaluation }[place];
    const value = keys === null ? undefined : at(report, keys);
    if (typeof value !== 'number' || RANKS.indexOf(label.rank) > RANKS.indexOf(most)) return [];
    return [{ ...label, value, everywhere: step !== null && evaluation !== null }];
  });
}

/** The value at dotted keys; undefined where there is none. */
function at(report: object, keys: string): unknown {
  return keys
    .split('.')
    .reduce<unknown>(
      (place, key) =>
        typeof place === 'object' && place !== null ? (place as Record<string, unknown>)[key] : undefined,
      report,
    );
}
