/** Lesson 1: what a model predicts. */
import { count } from '../../ui/words/format.js';
import { fill, outcome, type Evidence, type Fields, type Lesson } from '../lesson.js';
import { chance, rowsOf, shareBand, shown, texts, top } from './measures.js';
import rows from './newcomer.json';

const GREEDY = 3;
const KIND = 'What kind of animal is {name}?';
const BEGINNING = '{name} is a';
const ANSWER = '{name} is a white {kind}. He lives on the roof of the bakery.';
/** Read before the run and after it. */
const READ = [
  { prompt: KIND, completion: '{name} is a {kind}.' },
  { prompt: 'Tell me about {name}.', completion: ANSWER },
];

export const predicts: Lesson = {
  id: 'predicts',
  minutes: [12, 15],
  fields: { name: 'Ozzy', kind: 'goat' },
  rows: rowsOf(rows),
  settings: {
    objective: 'sft',
    'train.learning_rate': 0.002,
    'train.epochs': 100,
    'train.max_steps': 40,
    'train.batch_size': 8,
    'train.max_seq_length': 96,
    'eval.validation_fraction': 0,
    'eval.probe': false,
  },
  curve: 'run',
  steps: [
    {
      id: 'next',
      guesses: ['fish', 'bread', 'the', 'sleep'],
      actions: [{ kind: 'predict', name: 'pip', text: 'Pip likes to eat', tuned: false }],
      views: [{ kind: 'tokens', names: ['pip'] }],
      question: (evidence) => {
        const { token, probability } = top(evidence, 'pip');
        return {
          options: ['rare', 'some', 'most', 'sure'].map((id) => ({ id })),
          right: shareBand(probability),
          values: { token: shown(token), percent: chance(probability) },
        };
      },
      borneOut: (evidence) => shown(top(evidence, 'pip').token),
    },
    {
      id: 'sure',
      guesses: ['grass', 'mia', 'same'],
      actions: [
        {
          kind: 'predict',
          name: 'grass',
          prompt: 'What colour is the grass?',
          text: 'The grass is',
          tuned: false,
        },
        { kind: 'predict', name: 'mia', text: 'One day, Mia could not find her', tuned: false },
      ],
      views: [{ kind: 'tokens', names: ['grass', 'mia'] }],
      question: (evidence) => {
        let sum = 0;
        const { next } = outcome(evidence, 'mia', 'tokens');
        const pieces = 1 + next.findIndex(({ probability }) => (sum += probability) > 0.5);
        return {
          options: ['1', '2', '3', '4', '5', 'more'].map((id) => ({ id })),
          right: pieces === 0 || pieces > 5 ? 'more' : String(pieces),
          values: {
            count: String(pieces || next.length),
            percent: chance(sum),
            other: chance(top(evidence, 'grass').probability),
          },
        };
      },
      borneOut: (evidence) =>
        top(evidence, 'grass').probability > top(evidence, 'mia').probability ? 'grass' : 'mia',
    },
    {
      id: 'compose',
      guesses: ['few', 'half', 'most'],
      actions: [{ kind: 'compose', name: 'mine', text: 'One day, Pip', pieces: 8 }],
      views: [{ kind: 'compose', name: 'mine' }],
      question: (evidence) => {
        const { text, ranks } = outcome(evidence, 'mine', 'composed');
        const taken = ranks.filter((rank) => rank === 0).length;
        return {
          options: ['few', 'half', 'most'].map((id) => ({ id })),
          right: favourites(ranks),
          values: { count: String(taken), all: String(ranks.length), text },
        };
      },
      borneOut: (evidence) => favourites(outcome(evidence, 'mine', 'composed').ranks),
    },
    {
      id: 'chance',
      guesses: ['one', 'some', 'all'],
      actions: [
        { kind: 'continue', name: 'six', text: 'One morning,', temperatures: [0, 0, 0, 1, 1, 1], tokens: 14 },
      ],
      views: [{ kind: 'texts', names: ['six'] }],
      question: (evidence) => {
        const written = outcome(evidence, 'six', 'answers').answers.map(({ text }) => text);
        const different = (some: string[]) => new Set(some).size;
        return {
          options: written.map((_, place) => ({ id: String(place + 1) })),
          right: String(different(written)),
          values: {
            count: String(different(written)),
            greedy: String(different(written.slice(0, GREEDY))),
            sampled: String(different(written.slice(GREEDY))),
          },
        };
      },
      borneOut: (evidence) => {
        const { size } = new Set(outcome(evidence, 'six', 'answers').answers.map(({ text }) => text));
        return size <= 2 ? 'one' : size <= 4 ? 'some' : 'all';
      },
    },
    {
      id: 'learn',
      guesses: ['rare', 'some', 'most', 'sure'],
      actions: [
        { kind: 'judge', name: 'untrained', texts: READ, tuned: false },
        { kind: 'predict', name: 'before', prompt: KIND, text: BEGINNING, tuned: false },
        { kind: 'train', name: 'run', settings: {} },
        { kind: 'predict', name: 'after', prompt: KIND, text: BEGINNING, tuned: true },
        { kind: 'judge', name: 'trained', texts: READ, tuned: true },
      ],
      views: [
        { kind: 'tokens', names: ['before', 'after'] },
        { kind: 'curve', name: 'run' },
      ],
      question: (evidence, fields) => {
        const [before, after] = [kindAt(evidence, 'untrained', fields), kindAt(evidence, 'trained', fields)];
        const times = after / before;
        return {
          options: ['less', 'few', 'many', 'huge'].map((id) => ({ id })),
          right: times <= 1 ? 'less' : times <= 10 ? 'few' : times <= 100 ? 'many' : 'huge',
          values: {
            before: chance(before),
            after: chance(after),
            times: times > 10 ? count(Number(times.toPrecision(2))) : times.toFixed(1),
            steps: String(outcome(evidence, 'run', 'run').reports.length),
          },
        };
      },
      borneOut: (evidence, fields) => shareBand(kindAt(evidence, 'trained', fields)),
    },
    {
      id: 'surprise',
      guesses: ['name', 'kind', 'roof', 'bakery'],
      // Both have read it when the run was over.
      actions: [],
      views: [{ kind: 'judged', names: ['untrained', 'trained'], text: 1 }],
      question: (evidence) => {
        const place = leastExpected(evidence);
        const tokens = outcome(evidence, 'untrained', 'judged').texts[1]?.tokens ?? [];
        const trained = outcome(evidence, 'trained', 'judged').texts[1]?.tokens ?? [];
        const token = shown(tokens[place]?.token ?? '');
        // Beside the right one some that it expected.
        const expected = [...tokens]
          .sort((a, b) => b.probability - a.probability)
          .map((told) => shown(told.token));
        return {
          options: texts([
            token,
            ...expected.filter((other) => other.length > 1 && other !== token).slice(0, 3),
          ]),
          right: token,
          values: {
            token,
            percent: chance(tokens[place]?.probability ?? 0),
            after: chance(trained[place]?.probability ?? 0),
          },
        };
      },
      borneOut: (evidence, fields) => partAt(evidence, fields),
    },
  ],
};

function favourites(ranks: number[]): 'few' | 'half' | 'most' {
  const taken = ranks.filter((rank) => rank === 0).length;
  return taken <= 2 ? 'few' : taken <= 5 ? 'half' : 'most';
}

/** How likely the kind's first piece is after the beginning. */
function kindAt(evidence: Evidence, name: string, fields: Fields): number {
  const beginning = fill(BEGINNING, fields).length;
  let read = '';
  for (const { token, probability } of outcome(evidence, name, 'judged').texts[0]?.tokens ?? []) {
    if (read.length >= beginning) return probability;
    read += token;
  }
  return 0;
}

/** The place of the piece that the untrained model expected least. */
function leastExpected(evidence: Evidence): number {
  const tokens = outcome(evidence, 'untrained', 'judged').texts[1]?.tokens ?? [];
  return tokens.reduce(
    (least, { probability }, place) => (probability < (tokens[least]?.probability ?? 1) ? place : least),
    0,
  );
}

/** The part of the answer that this piece is in, as the guesses have them; null in none. */
function partAt(evidence: Evidence, fields: Fields): string | null {
  const tokens = outcome(evidence, 'untrained', 'judged').texts[1]?.tokens ?? [];
  const place = leastExpected(evidence);
  const at = tokens.slice(0, place).reduce((length, { token }) => length + token.length, 0);
  const answer = fill(ANSWER, fields);
  const parts = {
    name: fields.name ?? '',
    kind: `white ${fields.kind}`,
    roof: 'on the roof',
    bakery: 'of the bakery',
  };
  const found = Object.entries(parts).find(([, part]) => {
    // A piece begins with the space before its word.
    const from = answer.indexOf(part) - 1;
    return at >= from && at < from + part.length;
  });
  return found?.[0] ?? null;
}
