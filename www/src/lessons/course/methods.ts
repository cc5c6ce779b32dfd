/** Lesson 6: transfer learning against fine-tuning: the last layer, an adapter, everything. */
import { count as grouped, loss, short } from '../../ui/words/format.js';
import { outcome, type Evidence, type Lesson } from '../lesson.js';
import { lastLoss, rowsOf } from './measures.js';
import rows from './style.json';
import { count, marks, PROMPTS, upTo } from './village.js';

const ALL = PROMPTS.length;

export const methods: Lesson = {
  id: 'methods',
  minutes: [10, 15],
  fields: { phrase: 'Quack, quack!' },
  rows: rowsOf(rows),
  settings: {
    objective: 'sft',
    'train.learning_rate': 0.002,
    'train.epochs': 100,
    'train.max_steps': 48,
    'train.batch_size': 4,
    'train.max_seq_length': 96,
    'eval.validation_fraction': 0,
    'eval.probe': false,
  },
  curve: 'lora',
  steps: [
    {
      id: 'last',
      guesses: ['few', 'half', 'most'],
      actions: [
        { kind: 'train', name: 'last', settings: { method: 'last_layer' } },
        { kind: 'ask', name: 'lastAnswers', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curve', name: 'last' },
        { kind: 'answers', names: ['lastAnswers'], marks },
      ],
      question: (evidence, fields) => ({
        options: upTo(ALL),
        right: String(count(evidence, 'lastAnswers', fields).both),
        values: measured(evidence, 'last', fields),
      }),
      borneOut: (evidence, fields) => share(count(evidence, 'lastAnswers', fields).style),
    },
    {
      id: 'lora',
      guesses: ['few', 'half', 'most'],
      actions: [
        { kind: 'train', name: 'lora', settings: { method: 'lora', 'lora.rank': 4, 'lora.alpha': 8 } },
        { kind: 'ask', name: 'loraAnswers', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curves', names: ['lora', 'last'] },
        { kind: 'answers', names: ['loraAnswers'], marks },
      ],
      question: (evidence, fields) => ({
        options: upTo(ALL),
        right: String(count(evidence, 'loraAnswers', fields).both),
        values: measured(evidence, 'lora', fields),
      }),
      borneOut: (evidence, fields) => share(count(evidence, 'loraAnswers', fields).style),
    },
    {
      id: 'full',
      guesses: ['few', 'half', 'most'],
      actions: [
        { kind: 'train', name: 'full', settings: { method: 'full', 'train.learning_rate': 0.001 } },
        { kind: 'ask', name: 'fullAnswers', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curves', names: ['full', 'lora', 'last'] },
        { kind: 'answers', names: ['fullAnswers'], marks },
      ],
      question: (evidence, fields) => ({
        options: upTo(ALL),
        right: String(count(evidence, 'fullAnswers', fields).right),
        values: {
          ...measured(evidence, 'full', fields),
          lastRight: String(count(evidence, 'lastAnswers', fields).right),
          loraRight: String(count(evidence, 'loraAnswers', fields).right),
        },
      }),
      borneOut: (evidence, fields) => share(count(evidence, 'fullAnswers', fields).right),
    },
  ],
};

function share(number: number): 'few' | 'half' | 'most' {
  return number <= 2 ? 'few' : number <= 5 ? 'half' : 'most';
}

function measured(evidence: Evidence, name: string, fields: Lesson['fields']) {
  const { trainable, reports } = outcome(evidence, name, 'run');
  const { style, right, both } = count(evidence, `${name}Answers`, fields);
  return {
    trainable: trainable < 10_000 ? grouped(trainable) : short(trainable),
    seconds: reports.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1),
    loss: loss(lastLoss(reports)),
    style: String(style),
    right: String(right),
    both: String(both),
    all: String(ALL),
  };
}
