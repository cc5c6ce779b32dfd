import type { LessonWords } from '../words.js';

/** Lesson 4. */
export const forget: LessonWords = {
  title: 'Make it forget, and mend it',
  goal: 'Whoever trains a model on something new can damage what it knew. It is seen by measuring the old as well, and there is more than one cure.',
  fields: { phrase: 'How every answer ends' },
  steps: {
    harsh: {
      title: 'Learning too fast',
      text: [
        'Tiny is to end every answer with “{phrase}”, as in lesson 2. But this time its numbers are moved six times as far in each step as usual [learning rate].',
        'Beside it something is measured that is not in the examples at all: the surprise on ordinary sentences about Fernbrook [forgetting probe].',
      ],
      guess: 'What will the surprise on ordinary sentences do?',
      guesses: { falls: 'fall', same: 'stay', rises: 'rise' },
      press: 'Train too fast',
      see: 'The dashed line is the surprise on ordinary sentences. It began at the value of the untrained Tiny.',
      say: 'How many times less likely has a piece of ordinary text become?',
      options: {
        none: 'hardly less (below 1.05 times)',
        little: '1.05 to 1.5 times',
        some: '1.5 to 3 times',
        much: 'more than 3 times',
      },
      because:
        'The surprise went from {base} to {now} ({rise}): each piece is {times} times less likely. So much was lost, though nobody asked for that [catastrophic forgetting].',
      found: 'Too fast: ordinary text became {times} times less likely.',
      captions: { harsh: 'Too fast' },
    },
    lost: {
      title: 'What was lost?',
      text: [
        'A number says that something was lost, not what. So ask the eight questions of lesson 2, whose right answers are known.',
        'Before the training and after it: the ticks stand behind what is true in Fernbrook.',
      ],
      guess: 'How many of the eight answers are still right?',
      guesses: { all: 'all', most: 'four to seven', few: 'fewer than four' },
      press: 'Show the answers',
      see: 'Above the answers after the training, below those of the untrained Tiny.',
      say: 'How many are right after the training?',
      options: {},
      because: 'Before, {before} of {all} were right; after it {after}.',
      found: 'Right answers: {before} before, {after} after.',
      captions: { answers: 'Trained too fast', base: 'Untrained' },
    },
    mixed: {
      title: 'First cure: repeat the old',
      text: [
        'Who learns French and never speaks English forgets English. Who goes on speaking it does not.',
        'So four of ten rows are now ordinary questions and sentences that Tiny knows already [replay]. Everything else is as before, the speed as well.',
      ],
      guess: 'The surprise on ordinary sentences will rise …',
      guesses: { less: 'less than before', same: 'about as much', more: 'more' },
      press: 'Train with the old mixed in',
      see: 'The dashed line again, and the stars and ticks.',
      say: 'How much did it rise, compared with before?',
      options: { less: 'clearly less', same: 'about as much', more: 'clearly more' },
      because: 'Mixed: {rise}. Before: {harsh}. {style} of {all} answers have the style, {right} are right.',
      found: 'With the old mixed in: {rise} instead of {harsh}; {right} of {all} right.',
      captions: { mixed: 'With the old mixed in', mixedAnswers: 'With the old mixed in' },
    },
    gentle: {
      title: 'Second cure: smaller steps',
      text: [
        'The other cure: move the numbers less in each step. Here a sixth of the speed, with the new rows only.',
        'It costs nothing but patience: who takes small steps needs more of them.',
      ],
      guess: 'Which of the three runs has harmed ordinary text least?',
      guesses: { harsh: 'too fast', mixed: 'with the old mixed in', gentle: 'smaller steps' },
      press: 'Train with smaller steps',
      see: 'Compare the end of the dashed line with those of the other two runs.',
      say: 'Which run harmed ordinary text least?',
      options: { harsh: 'too fast', mixed: 'with the old mixed in', gentle: 'smaller steps' },
      because:
        'Too fast {harsh}, mixed {mixed}, smaller steps {gentle}. With small steps {style} of {all} answers have the style and {right} are right.',
      found: 'Rise of the surprise: {harsh} too fast, {mixed} mixed, {gentle} with smaller steps.',
      captions: { gentle: 'Smaller steps', gentleAnswers: 'Smaller steps' },
    },
  },
  end: [
    'What a model is not shown any more it can lose. Nobody notices who measures only the new.',
    'Repeat the old, or go more slowly, and measure both.',
  ],
};
