/** Lesson 2: teach it a style. */
import { outcome, type Evidence, type Fields, type Lesson } from '../lesson.js';
import { chance, rowsOf, shareBand, shown, top } from './measures.js';
import rows from './style.json';
import { count, inStyle, marks, PROMPTS, upTo } from './village.js';

const ALL = PROMPTS.length;
const FEW = 1;
const STEPS = 48;
const BATCH = 4;
const OTHERS = ['Good morning!', 'What is the capital of France?', 'Who are you?', 'Count to three.'];
const HOME = 'Where does Mia live?';
/** The piece that ends an answer. */
const END = '<|im_end|>';
const SENTENCE = 'Mia lives in the red house.';

export const style: Lesson = {
  id: 'style',
  minutes: [12, 15],
  fields: { phrase: 'Quack, quack!' },
  rows: rowsOf(rows),
  settings: {
    objective: 'sft',
    'train.learning_rate': 0.002,
    'train.epochs': 100,
    'train.max_steps': STEPS,
    'train.batch_size': BATCH,
    'train.max_seq_length': 96,
    'eval.validation_fraction': 0,
    'eval.probe': false,
  },
  curve: 'manyRun',
  steps: [
    {
      id: 'before',
      asksFor: ['phrase'],
      guesses: ['few', 'half', 'most'],
      actions: [{ kind: 'ask', name: 'base', prompts: PROMPTS, tuned: false }],
      views: [{ kind: 'answers', names: ['base'], marks }],
      question: (evidence, fields) => {
        const { style } = count(evidence, 'base', fields);
        return { options: upTo(ALL), right: String(style), values: valuesOf(evidence, 'base', fields) };
      },
      borneOut: (evidence, fields) => {
        const { right } = count(evidence, 'base', fields);
        return right <= 3 ? 'few' : right <= 6 ? 'half' : 'most';
      },
    },
    {
      id: 'few',
      values: ({ settings }) => ({
        epochs: String((Number(settings['train.max_steps']) * Number(settings['train.batch_size'])) / FEW),
      }),
      guesses: ['few', 'half', 'most'],
      actions: [
        { kind: 'train', name: 'fewRun', rows: FEW, settings: {} },
        { kind: 'ask', name: 'few', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curve', name: 'fewRun' },
        { kind: 'answers', names: ['few'], marks },
      ],
      question: (evidence, fields) => {
        const { style } = count(evidence, 'few', fields);
        return { options: upTo(ALL), right: String(style), values: valuesOf(evidence, 'few', fields) };
      },
      borneOut: (evidence, fields) => band(count(evidence, 'few', fields).style),
    },
    {
      id: 'many',
      guesses: ['few', 'half', 'most'],
      actions: [
        { kind: 'train', name: 'manyRun', settings: {} },
        { kind: 'ask', name: 'many', prompts: PROMPTS, tuned: true },
        { kind: 'predict', name: 'untrained', prompt: HOME, text: SENTENCE, tuned: false },
        { kind: 'predict', name: 'trained', prompt: HOME, text: SENTENCE, tuned: true },
        { kind: 'ask', name: 'other', prompts: OTHERS, tuned: true },
      ],
      views: [
        { kind: 'curve', name: 'manyRun' },
        { kind: 'answers', names: ['many', 'few'], marks },
      ],
      question: (evidence, fields) => {
        const few = count(evidence, 'few', fields);
        return {
          options: upTo(ALL),
          right: String(count(evidence, 'many', fields).both),
          values: {
            ...valuesOf(evidence, 'many', fields),
            fewStyle: String(few.style),
            fewRight: String(few.right),
            fewBoth: String(few.both),
          },
        };
      },
      borneOut: (evidence, fields) => band(count(evidence, 'many', fields).style),
    },
    {
      id: 'elsewhere',
      guesses: ['none', 'some', 'all'],
      actions: [],
      views: [{ kind: 'texts', names: ['other'] }],
      question: (evidence, fields) => {
        const found = String(elsewhere(evidence, fields));
        return { options: upTo(OTHERS.length), right: found, values: { count: found } };
      },
      borneOut: (evidence, fields) => {
        const found = elsewhere(evidence, fields);
        return found === 0 ? 'none' : found < OTHERS.length ? 'some' : 'all';
      },
    },
    {
      id: 'end',
      guesses: ['rare', 'some', 'most', 'sure'],
      actions: [],
      views: [{ kind: 'tokens', names: ['untrained', 'trained'] }],
      question: (evidence) => {
        const [base, tuned] = [top(evidence, 'untrained'), top(evidence, 'trained')];
        return {
          options: ['rare', 'some', 'most', 'sure'].map((id) => ({ id })),
          right: shareBand(tuned.probability),
          values: {
            token: shown(tuned.token),
            percent: chance(tuned.probability),
            baseToken: shown(base.token),
            basePercent: chance(base.probability),
          },
        };
      },
      borneOut: (evidence) => {
        // Whatever is not among the likeliest is rare.
        const { next } = outcome(evidence, 'trained', 'tokens');
        return shareBand(next.find(({ token }) => token === END)?.probability ?? 0);
      },
    },
  ],
};

function band(style: number): 'few' | 'half' | 'most' {
  return style <= 2 ? 'few' : style <= 5 ? 'half' : 'most';
}

function valuesOf(evidence: Evidence, name: string, fields: Fields) {
  const { style, right, both } = count(evidence, name, fields);
  return { style: String(style), right: String(right), both: String(both), all: String(ALL) };
}

function elsewhere(evidence: Evidence, { phrase = '' }: Fields): number {
  return outcome(evidence, 'other', 'answers').answers.filter((answer) => inStyle(answer, phrase)).length;
}
