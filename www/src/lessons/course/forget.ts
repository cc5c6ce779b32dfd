/** Lesson 4: make it forget, and mend it. */
import { loss } from '../../ui/words/format.js';
import { forgetting } from '../../ui/words/forgetting.js';
import { outcome, type Evidence, type Lesson } from '../lesson.js';
import { count, marks, PROMPTS, upTo } from './village.js';
import { rowsOf } from './measures.js';
import rows from './style.json';

const ALL = PROMPTS.length;

export const forget: Lesson = {
  id: 'forget',
  minutes: [10, 15],
  fields: { phrase: 'Quack, quack!' },
  rows: rowsOf(rows),
  settings: {
    objective: 'sft',
    'train.learning_rate': 0.006,
    'train.epochs': 100,
    'train.max_steps': 48,
    'train.batch_size': 4,
    'train.max_seq_length': 96,
    'train.lr_scheduler_type': 'constant_with_warmup',
    'eval.validation_fraction': 0.1,
    'eval.eval_steps': 6,
    'eval.probe': true,
  },
  curve: 'harsh',
  steps: [
    {
      id: 'harsh',
      guesses: ['falls', 'same', 'rises'],
      actions: [
        { kind: 'ask', name: 'base', prompts: PROMPTS, tuned: false },
        { kind: 'train', name: 'harsh', settings: {} },
        { kind: 'ask', name: 'answers', prompts: PROMPTS, tuned: true },
      ],
      views: [{ kind: 'curve', name: 'harsh' }],
      question: (evidence) => ({
        options: ['none', 'little', 'some', 'much'].map((id) => ({ id })),
        right: band(rise(evidence, 'harsh')),
        values: risen(evidence, 'harsh'),
      }),
      borneOut: (evidence) => {
        const found = rise(evidence, 'harsh');
        return found > 0.02 ? 'rises' : found < -0.02 ? 'falls' : 'same';
      },
    },
    {
      id: 'lost',
      guesses: ['all', 'most', 'few'],
      // They were asked when the run was over.
      actions: [],
      views: [{ kind: 'answers', names: ['answers', 'base'], marks }],
      question: (evidence, fields) => {
        const [before, after] = [count(evidence, 'base', fields), count(evidence, 'answers', fields)];
        return {
          options: upTo(ALL),
          right: String(after.right),
          values: { before: String(before.right), after: String(after.right), all: String(ALL) },
        };
      },
      borneOut: (evidence, fields) => {
        const { right } = count(evidence, 'answers', fields);
        return right === ALL ? 'all' : right >= ALL / 2 ? 'most' : 'few';
      },
    },
    {
      id: 'mixed',
      guesses: ['less', 'same', 'more'],
      actions: [
        { kind: 'train', name: 'mixed', settings: { 'data.general_fraction': 0.4 } },
        { kind: 'ask', name: 'mixedAnswers', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curve', name: 'mixed' },
        { kind: 'answers', names: ['mixedAnswers'], marks },
      ],
      question: (evidence, fields) => {
        const { style, right } = count(evidence, 'mixedAnswers', fields);
        return {
          options: ['less', 'same', 'more'].map((id) => ({ id })),
          right: compared(rise(evidence, 'mixed'), rise(evidence, 'harsh')),
          values: {
            ...risen(evidence, 'mixed'),
            harsh: signed(rise(evidence, 'harsh')),
            style: String(style),
            right: String(right),
            all: String(ALL),
          },
        };
      },
      borneOut: (evidence) => compared(rise(evidence, 'mixed'), rise(evidence, 'harsh')),
    },
    {
      id: 'gentle',
      guesses: ['harsh', 'mixed', 'gentle'],
      actions: [
        { kind: 'train', name: 'gentle', settings: { 'train.learning_rate': 0.001 } },
        { kind: 'ask', name: 'gentleAnswers', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curve', name: 'gentle' },
        { kind: 'answers', names: ['gentleAnswers'], marks },
      ],
      question: (evidence, fields) => {
        const { style, right } = count(evidence, 'gentleAnswers', fields);
        return {
          options: ['harsh', 'mixed', 'gentle'].map((id) => ({ id })),
          right: least(evidence),
          values: {
            harsh: signed(rise(evidence, 'harsh')),
            mixed: signed(rise(evidence, 'mixed')),
            gentle: signed(rise(evidence, 'gentle')),
            style: String(style),
            right: String(right),
            all: String(ALL),
          },
        };
      },
      borneOut: (evidence) => least(evidence),
    },
  ],
};

/** By how much the loss on general text has risen. */
function rise(evidence: Evidence, name: string): number {
  return forgetting(outcome(evidence, name, 'run').reports)?.rise ?? 0;
}

function risen(evidence: Evidence, name: string) {
  const found = forgetting(outcome(evidence, name, 'run').reports);
  const times = Math.exp(found?.rise ?? 0);
  return {
    base: loss(found?.base ?? 0),
    now: loss(found?.now ?? 0),
    rise: signed(found?.rise ?? 0),
    times: times.toFixed(times < 10 ? 1 : 0),
  };
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
}

/** How much less likely general text has become. */
function band(value: number): 'none' | 'little' | 'some' | 'much' {
  const times = Math.exp(value);
  if (times < 1.05) return 'none';
  if (times < 1.5) return 'little';
  return times < 3 ? 'some' : 'much';
}

function compared(one: number, other: number): 'less' | 'same' | 'more' {
  if (one < 0.8 * other) return 'less';
  return one > 1.2 * other ? 'more' : 'same';
}

function least(evidence: Evidence): string {
  const names = ['harsh', 'mixed', 'gentle'];
  return names.reduce((best, name) => (rise(evidence, name) < rise(evidence, best) ? name : best));
}
