/** Lesson 5: be the human in RLHF. */
import { outcome, type Evidence, type Lesson } from '../lesson.js';
import { rowsOf } from './measures.js';

/** Who is asked about while a person rates; others are asked about before and after. */
const RATED = ['Pip', 'Mia', 'Bella', 'Tom', 'Olly', 'Anna', 'Hop', 'Carl'];
const PROMPTS = ['Bruno', 'Rosa', 'Lena', 'Daisy', 'Max', 'Ben'].map((name) => `Tell me about ${name}.`);
const RATE = {
  objective: 'grpo',
  'grpo.reward': 'person',
  'grpo.num_generations': 4,
  'grpo.max_completion_length': 48,
  'train.learning_rate': 0.001,
  'train.epochs': 100,
  'train.max_steps': 8,
  'train.batch_size': 1,
  'train.max_seq_length': 96,
  'train.lr_scheduler_type': 'constant',
  'eval.validation_fraction': 0,
  'eval.probe': false,
};

export const rlhf: Lesson = {
  id: 'rlhf',
  minutes: [10, 15],
  fields: {},
  rows: rowsOf(RATED.map((name) => [`Tell me about ${name}.`, ''])),
  settings: RATE,
  curve: 'machine',
  steps: [
    {
      id: 'rate',
      guesses: ['short', 'long'],
      actions: [
        { kind: 'ask', name: 'before', prompts: PROMPTS, tuned: false },
        { kind: 'train', name: 'rated', settings: {} },
        { kind: 'ask', name: 'after', prompts: PROMPTS, tuned: true },
      ],
      views: [{ kind: 'ratings', name: 'rated' }],
      question: (evidence) => {
        const { reports } = outcome(evidence, 'rated', 'run');
        const rewards = reports.map(({ rollout }) => rollout?.reward ?? 0);
        const half = Math.ceil(rewards.length / 2);
        const [first, second] = [mean(rewards.slice(0, half)), mean(rewards.slice(half))];
        return {
          options: ['higher', 'same', 'lower'].map((id) => ({ id })),
          right: compared(second, first),
          values: { first: first.toFixed(2), second: second.toFixed(2), steps: String(rewards.length) },
        };
      },
      borneOut: (evidence) => {
        const [before, after] = [words(evidence, 'before'), words(evidence, 'after')];
        return after < before ? 'short' : after > before ? 'long' : null;
      },
    },
    {
      id: 'after',
      guesses: ['shorter', 'same', 'longer'],
      // They were asked when the run was over.
      actions: [],
      views: [{ kind: 'texts', names: ['before', 'after'] }],
      question: (evidence) => ({
        options: ['shorter', 'same', 'longer'].map((id) => ({ id })),
        right: length(evidence, 'after'),
        values: {
          before: words(evidence, 'before').toFixed(1),
          after: words(evidence, 'after').toFixed(1),
        },
      }),
      borneOut: (evidence) => length(evidence, 'after'),
    },
    {
      id: 'machine',
      guesses: ['better', 'same', 'worse'],
      actions: [
        {
          kind: 'train',
          name: 'machine',
          settings: {
            'grpo.reward': 'length',
            'grpo.target_length': 3,
            'grpo.num_generations': 8,
            'train.batch_size': 4,
            'train.max_steps': 24,
          },
        },
        { kind: 'ask', name: 'hacked', prompts: PROMPTS, tuned: true },
      ],
      views: [
        { kind: 'curve', name: 'machine' },
        { kind: 'texts', names: ['hacked'] },
      ],
      question: (evidence) => {
        const { answers } = outcome(evidence, 'hacked', 'answers');
        const whole = answers.filter(isWhole).length;
        return {
          options: Array.from({ length: PROMPTS.length + 1 }, (_, number) => ({
            id: String(number),
            text: String(number),
          })),
          right: String(answers.filter(({ text }) => count(text) <= 4).length),
          values: {
            short: String(answers.filter(({ text }) => count(text) <= 4).length),
            whole: String(whole),
            all: String(answers.length),
            before: words(evidence, 'before').toFixed(1),
            after: words(evidence, 'hacked').toFixed(1),
          },
        };
      },
      borneOut: (evidence) => {
        const [before, after] = [told(evidence, 'before'), told(evidence, 'hacked')];
        return after < before ? 'worse' : after > before ? 'better' : 'same';
      },
    },
  ],
};

function count(text: string): number {
  return text.trim().split(/\s+/).filter(Boolean).length;
}

/** The mean words of the answers. */
function words(evidence: Evidence, name: string): number {
  return mean(outcome(evidence, name, 'answers').answers.map(({ text }) => count(text)));
}

/** Sentences, which each tell something of whom was asked about. */
function told(evidence: Evidence, name: string): number {
  return mean(
    outcome(evidence, name, 'answers').answers.map(
      ({ text }) => text.split('.').filter((part) => count(part) > 2).length,
    ),
  );
}

function isWhole({ text }: { text: string }): boolean {
  return count(text) >= 3 && text.trim().endsWith('.');
}

function length(evidence: Evidence, name: string): 'shorter' | 'same' | 'longer' {
  const change = words(evidence, name) - words(evidence, 'before');
  return Math.abs(change) < 1 ? 'same' : change < 0 ? 'shorter' : 'longer';
}

function compared(one: number, other: number): 'higher' | 'same' | 'lower' {
  return Math.abs(one - other) < 0.05 ? 'same' : one > other ? 'higher' : 'lower';
}

function mean(numbers: number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);
}
