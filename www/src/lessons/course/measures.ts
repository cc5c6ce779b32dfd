/** What lessons compute from outcomes. */
import type { StepReport, TokenProbability } from '../../engine/index.js';
import { percent } from '../../ui/words/format.js';
import { outcome, type Evidence, type Option, type Row } from '../lesson.js';

/** Pairs of a file of rows. */
export function rowsOf(pairs: string[][]): Row[] {
  return pairs.map(([prompt = '', completion = '']) => ({ prompt, completion }));
}

/** As shares are told in choices. */
export function shareBand(share: number): 'rare' | 'some' | 'most' | 'sure' {
  if (share < 0.1) return 'rare';
  if (share < 0.5) return 'some';
  return share < 0.9 ? 'most' : 'sure';
}

/** A probability as people read it; small ones keep a figure. */
export function chance(probability: number): string {
  if (probability >= 0.001) return percent(probability);
  if (probability >= 1e-6) return `${Number((100 * probability).toPrecision(1))} %`;
  return 'less than 0.0001 %';
}

/** The likeliest piece of a prediction. */
export function top(evidence: Evidence, name: string): TokenProbability {
  return outcome(evidence, name, 'tokens').next[0] ?? { token: '', probability: 0 };
}

/** A piece as it can be read: the marks of a chat and line ends have names. */
export function shown(token: string): string {
  if (token.startsWith('<|')) return '(end)';
  return token.replaceAll('\n', '⏎').trim() || '(space)';
}

/** Options that are texts themselves, each once, in an order that tells nothing of which is right. */
export function texts(all: string[]): Option[] {
  return [...new Set(all)]
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((text) => ({ id: text, text }));
}

/** The mean probability of the pieces, as a geometric mean: the exponential of the mean loss with its sign turned. */
export function meanChance(tokens: TokenProbability[]): number {
  const sum = tokens.reduce((all, { probability }) => all + Math.log(Math.max(probability, 1e-12)), 0);
  return Math.exp(sum / Math.max(1, tokens.length));
}

export interface Validated {
  step: number;
  loss: number;
}

/** The validations of a run. */
export function validations(reports: StepReport[]): Validated[] {
  return reports.flatMap(({ step, evaluation }) => (evaluation ? [{ step, loss: evaluation.loss }] : []));
}

export function lowest(points: Validated[]): Validated {
  return points.reduce(
    (best, point) => (point.loss < best.loss ? point : best),
    points[0] ?? { step: 0, loss: NaN },
  );
}

/** The mean loss of the last steps, of which single ones are noisy. */
export function lastLoss(reports: StepReport[], steps = 5): number {
  const last = reports.slice(-steps);
  return last.reduce((sum, { loss }) => sum + loss, 0) / Math.max(1, last.length);
}
