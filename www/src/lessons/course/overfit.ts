/** Lesson 3: make it overfit and see it. */
import { loss } from '../../ui/words/format.js';
import { outcome, type Evidence, type JudgedText, type Lesson } from '../lesson.js';
import { chance, lastLoss, lowest, meanChance, rowsOf, texts, validations } from './measures.js';
import rows from './people.json';

const STEPS = 60;
const FEW = 20;
/** Somebody whom no run has met. */
const STRANGERS = rowsOf([
  ['Who is Abel?', 'Abel is a goat. Abel lives by the river and likes to eat plums.'],
  ['Who is Betty?', 'Betty is a mouse. Betty lives in the mill and likes to eat cheese.'],
  ['Who is Casper?', 'Casper is a dog. Casper lives on the hill and likes to eat soup.'],
  ['Who is Doris?', 'Doris is a bird. Doris lives in the meadow and likes to eat corn.'],
  ['Who is Edgar?', 'Edgar is a pig. Edgar lives under the bridge and likes to eat bread.'],
  ['Who is Flora?', 'Flora is a frog. Flora lives in the stable and likes to eat honey.'],
]);

export const overfit: Lesson = {
  id: 'overfit',
  minutes: [10, 15],
  fields: {},
  rows: rowsOf(rows),
  settings: {
    objective: 'sft',
    'train.learning_rate': 0.003,
    'train.epochs': 200,
    'train.max_steps': STEPS,
    'train.batch_size': 8,
    'train.max_seq_length': 96,
    'train.lr_scheduler_type': 'constant_with_warmup',
    'eval.validation_fraction': 0.33,
    'eval.eval_steps': 4,
    'eval.probe': false,
  },
  curve: 'long',
  steps: [
    {
      id: 'heart',
      guesses: ['falls', 'rises', 'flat'],
      actions: [
        { kind: 'train', name: 'long', settings: {} },
        { kind: 'judge', name: 'rows', texts: 'rows', tuned: true },
        { kind: 'judge', name: 'strangers', texts: STRANGERS, tuned: true },
      ],
      views: [{ kind: 'curve', name: 'long' }],
      question: (evidence) => {
        const { reports } = outcome(evidence, 'long', 'run');
        const points = validations(reports);
        const best = lowest(points).step;
        const end = points.at(-1)?.step ?? 0;
        // The first, the middle and the last validation beside the best one.
        const others = [points[0]?.step ?? 0, points[points.length >> 1]?.step ?? 0, end];
        return {
          options: texts([best, ...others].map(String)),
          right: String(best),
          values: { ...ends(evidence, 'long'), training: loss(lastLoss(reports)) },
        };
      },
      borneOut: (evidence) => {
        const points = validations(outcome(evidence, 'long', 'run').reports);
        const [first, last] = [points[0]?.loss ?? 0, points.at(-1)?.loss ?? 0];
        const least = lowest(points).loss;
        if (last > 1.05 * least) return 'rises';
        return last < 0.95 * first ? 'falls' : 'flat';
      },
    },
    {
      id: 'read',
      guesses: ['all', 'some', 'none'],
      // All have been read when the run was over.
      actions: [],
      views: [{ kind: 'strip', names: ['rows'] }],
      values: ({ rows, settings }) => ({
        aside: String(Math.round(rows.length * Number(settings['eval.validation_fraction']))),
      }),
      question: (evidence) => {
        const all = outcome(evidence, 'rows', 'judged').texts;
        const low = all.filter(({ tokens }) => meanChance(tokens) < 0.5).length;
        const offered = [low, all.length, Math.round(all.length / 2), 0, all.length - low];
        return {
          options: texts([...new Set(offered)].map(String)),
          right: String(low),
          values: { low: String(low), high: String(all.length - low) },
        };
      },
      borneOut: (evidence) => {
        const all = outcome(evidence, 'rows', 'judged').texts;
        const low = all.filter(({ tokens }) => meanChance(tokens) < 0.5).length;
        if (low === 0) return 'all';
        return low < all.length ? 'some' : 'none';
      },
    },
    {
      id: 'sooner',
      guesses: ['quarter', 'half', 'more'],
      actions: [{ kind: 'train', name: 'early', settings: { 'eval.early_stopping_patience': 3 } }],
      views: [{ kind: 'curves', names: ['early', 'long'] }],
      question: (evidence) => {
        const [kept, end] = [lowestOf(evidence, 'early').loss, endOf(evidence, 'long')];
        return {
          options: ['higher', 'same', 'lower'].map((id) => ({ id })),
          right: compared(kept, end),
          values: {
            ...ends(evidence, 'early'),
            end: loss(end),
            steps: String(outcome(evidence, 'early', 'run').reports.length),
            all: String(outcome(evidence, 'long', 'run').reports.length),
          },
        };
      },
      borneOut: (evidence) => {
        const length = (name: string) => outcome(evidence, name, 'run').reports.length;
        const share = length('early') / length('long');
        return share < 0.25 ? 'quarter' : share <= 0.5 ? 'half' : 'more';
      },
    },
    {
      id: 'data',
      guesses: ['less', 'same', 'more'],
      values: () => ({ few: String(FEW), strangers: String(STRANGERS.length) }),
      actions: [
        { kind: 'train', name: 'few', rows: FEW, settings: {} },
        { kind: 'judge', name: 'strangersFew', texts: STRANGERS, tuned: true },
      ],
      views: [{ kind: 'strip', names: ['strangersFew', 'strangers'] }],
      question: (evidence) => {
        const [few, all] = [surprise(evidence, 'strangersFew'), surprise(evidence, 'strangers')];
        return {
          options: ['higher', 'same', 'lower'].map((id) => ({ id })),
          right: compared(few, all),
          values: {
            fewLoss: loss(few),
            allLoss: loss(all),
            fewChance: chance(Math.exp(-few)),
            allChance: chance(Math.exp(-all)),
          },
        };
      },
      borneOut: (evidence) => {
        const found = compared(surprise(evidence, 'strangersFew'), surprise(evidence, 'strangers'));
        return { higher: 'more', same: 'same', lower: 'less' }[found];
      },
    },
  ],
};

function lowestOf(evidence: Evidence, name: string) {
  return lowest(validations(outcome(evidence, name, 'run').reports));
}

function endOf(evidence: Evidence, name: string): number {
  return validations(outcome(evidence, name, 'run').reports).at(-1)?.loss ?? 0;
}

function ends(evidence: Evidence, name: string) {
  const { step, loss: low } = lowestOf(evidence, name);
  return { best: String(step), low: loss(low), end: loss(endOf(evidence, name)) };
}

/** Losses within a twentieth are alike. */
function compared(one: number, other: number): 'higher' | 'same' | 'lower' {
  if (one > 1.05 * other) return 'higher';
  return one < 0.95 * other ? 'lower' : 'same';
}

/** The mean loss of some judged texts, a text as much as another. */
function surprise(evidence: Evidence, name: string): number {
  const { texts: judged } = outcome(evidence, name, 'judged');
  const sum = judged.reduce((all, { tokens }: JudgedText) => all - Math.log(meanChance(tokens)), 0);
  return sum / Math.max(1, judged.length);
}
