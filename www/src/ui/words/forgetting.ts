/** What the run's probe says of forgetting: the loss on general text, now against before training. */
import type { StepReport } from '../../engine/index.js';

/** A rise in nats that is worth a sentence: general text has become about a fifth less likely, token by token. */
export const RISE_BOUND = 0.2;

export interface Forgetting {
  base: number;
  now: number;
  rise: number;
}

/** Null until the probe has been scored twice. */
export function forgetting(reports: StepReport[]): Forgetting | null {
  const base = reports.find((report) => report.base_probe_loss !== null)?.base_probe_loss;
  const now = reports.findLast((report) => report.probe_loss !== null)?.probe_loss;
  if (base == null || now == null) return null;
  return { base, now, rise: now - base };
}

/** A sentence while the rise is past the bound, else null. */
export function forgettingSentence(reports: StepReport[]): string | null {
  const found = forgetting(reports);
  if (!found || found.rise <= RISE_BOUND) return null;
  const times = Math.exp(found.rise);
  return (
    `The loss on general text has risen by ${found.rise.toFixed(2)} since the start: each of its tokens is ` +
    `${times.toFixed(times < 10 ? 1 : 0)} times less likely to this model than to the base. It is forgetting what is ` +
    'not in your rows, or answers everything in their manner.'
  );
}

export interface Mitigation {
  label: string;
  /** The settings of the next run, by dotted key. */
  settings: (get: (path: string) => unknown) => Record<string, number>;
}

export const MITIGATIONS: Mitigation[] = [
  {
    label: 'Halve the learning rate',
    settings: (get) => ({
      'train.learning_rate': Number(((get('train.learning_rate') as number) / 2).toPrecision(2)),
    }),
  },
  {
    label: 'Halve the rank',
    settings: (get) => {
      const rank = get('lora.rank') as number;
      const half = Math.max(1, Math.floor(rank / 2));
      // The adapter's scale, alpha ÷ rank, stays.
      return { 'lora.rank': half, 'lora.alpha': ((get('lora.alpha') as number) * half) / rank };
    },
  },
  { label: 'Mix in a quarter of general text', settings: () => ({ 'data.general_fraction': 0.25 }) },
  { label: 'Hold it to the base', settings: () => ({ 'train.kl_to_base': 0.5 }) },
];
