import type { LessonWords } from '../words.js';

/** Lesson 3. */
export const overfit: LessonWords = {
  title: 'Make it overfit and see it',
  goal: 'A model can learn its examples by heart and become worse at everything else. You see it only in rows that you have put aside.',
  fields: {},
  steps: {
    heart: {
      title: 'Two curves',
      text: [
        'Here are {rows} sentences about newcomers to Fernbrook. Some are put aside: Tiny never learns from them, it is only tested on them [validation set]. It sees the others again and again.',
        'Two numbers tell how it goes: the surprise on what it learns from [training loss] and the surprise on what was put aside [validation loss].',
      ],
      guess: 'What will the surprise on the sentences put aside do?',
      guesses: { falls: 'fall to the end', rises: 'fall first, then rise', flat: 'stay as it is' },
      press: 'Train for a long time',
      see: 'The line with dots is the one that counts. Put your finger or the pointer on its lowest dot.',
      say: 'After about which step was the surprise on the sentences put aside lowest?',
      options: {},
      because:
        'It was lowest after step {best} ({low}) and stood at {end} in the end, while the training loss fell to {training}. From step {best} on Tiny learned by heart [overfitting].',
      found: 'Best after step {best} ({low}); at the end {end}, with a training loss of {training}.',
      captions: { long: 'Surprise while it learns' },
    },
    read: {
      title: 'Known by heart',
      text: [
        'What does it look like from inside? After the long run Tiny has read all {rows} sentences once more: those that it learned from, and the {aside} that were put aside.',
        'All have the same form. Only who it is about, where they live and what they eat is different, and nobody can know that of a stranger.',
      ],
      guess: 'Which sentences does Tiny read almost without surprise?',
      guesses: { all: 'all of them', some: 'only some', none: 'none' },
      press: 'Show how it read them',
      see: 'Every dot is a sentence: on the right the ones it expected, on the left the others. Underneath are the two extremes, piece by piece.',
      say: 'How many of the {rows} sentences lie below 50 %?',
      options: {},
      because:
        '{low} lie below, {high} above. Where Tiny never learned the sentence, it is sure of something that is not there.',
      found: '{high} of {rows} sentences known by heart, {low} not: {aside} had been put aside.',
      captions: { rows: 'After the long run' },
    },
    sooner: {
      title: 'Stop in time',
      text: [
        'The cure that costs nothing: look at the curve of the sentences put aside, and stop when it no longer falls [early stopping].',
        'The trainer can do this by itself. When the curve has not become better three times in a row, it stops and goes back to the best state.',
      ],
      guess: 'How many steps will it need, compared with before?',
      guesses: { quarter: 'less than a quarter', half: 'a quarter to a half', more: 'more than a half' },
      press: 'Train, and stop in time',
      see: 'The run ends a little after the lowest dot, and the state of that dot is kept.',
      say: 'How does the surprise on the sentences put aside compare with the end of the long run?',
      options: { higher: 'it is higher', same: 'it is about the same', lower: 'it is lower' },
      because:
        'Stopped after {steps} of {all} steps, back at step {best}: {low}. The long run ended at {end}. Less training, a better model.',
      found: 'Stopped after {steps} of {all} steps: {low} instead of {end}.',
      captions: { 'early short': 'in time', 'long short': 'long' },
    },
    data: {
      title: 'The number of examples',
      text: [
        'By heart is easy with few sentences. With many it is easier to learn what they have in common [regularity].',
        'This run gets only {few} sentences, and as many steps. Then both models read {strangers} sentences about strangers whom neither has met [test set].',
      ],
      guess: 'Trained on fewer sentences: how much is it surprised by strangers?',
      guesses: { less: 'less', same: 'about as much', more: 'more' },
      press: 'Train on {few} sentences',
      see: 'The same strangers twice: read by the model with few examples, and by the one with many.',
      say: 'How does the surprise of the model with few examples compare?',
      options: { higher: 'it is higher', same: 'it is about the same', lower: 'it is lower' },
      because:
        'Few examples: {fewLoss} (a piece is {fewChance} likely on average). Many examples: {allLoss} ({allChance}).',
      found: 'Strangers: surprise {fewLoss} after {few} examples, {allLoss} after all.',
      captions: { strangersFew: 'Trained on few examples', strangers: 'Trained on all examples' },
    },
  },
  end: [
    'A model that knows its examples by heart looks perfect, as long as you ask it for them.',
    'So put something aside before you train, and believe only that.',
  ],
};
