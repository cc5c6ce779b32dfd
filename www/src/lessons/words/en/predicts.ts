import type { LessonWords } from '../words.js';

/** Lesson 1. */
export const predicts: LessonWords = {
  title: 'What a model predicts',
  goal: 'A language model does one thing: it says how likely each piece of text is to come next. Training moves these chances.',
  fields: { name: 'A name', kind: 'A kind of animal (after “a white …”)' },
  steps: {
    next: {
      title: 'Which piece comes next?',
      text: [
        'Tiny is a very small language model. It is made of one million numbers [parameters], and it has read stories about a village called Fernbrook, and nothing else.',
        'It can do one thing. Given the beginning of a text, it says for each of the 1,024 pieces of text that it knows [tokens] how likely that piece is to come next [probability]. A piece may be a word, a part of a word or a full stop.',
      ],
      guess: 'Pip is a cat in Fernbrook. Which piece does Tiny hold likeliest after “Pip likes to eat”?',
      guesses: { fish: 'fish', bread: 'bread', the: 'the', sleep: 'sleep' },
      press: 'Ask Tiny',
      see: 'Each bar is a piece that Tiny knows, the likeliest at the top. All 1,024 bars together are 100 %.',
      say: 'How likely does Tiny hold its favourite?',
      options: { rare: 'less than 10 %', some: '10 to 50 %', most: '50 to 90 %', sure: 'more than 90 %' },
      because:
        'Its favourite is “{token}”, with {percent}. Tiny looks nothing up: the number is computed, as all the others are.',
      found: 'After “Pip likes to eat” Tiny held “{token}” likeliest: {percent}.',
      captions: { pip: 'Pip likes to eat …' },
    },
    sure: {
      title: 'Sure and unsure',
      text: [
        'Sometimes only one piece fits. Sometimes many do. A good model is sure in the first case and unsure in the second.',
        'Here are two beginnings: the answer to “What colour is the grass?”, and a story that begins “One day, Mia could not find her”.',
      ],
      guess: 'Which beginning is Tiny surer about?',
      guesses: {
        grass: 'The grass is …',
        mia: 'One day, Mia could not find her …',
        same: 'Both the same',
      },
      press: 'Ask Tiny about both',
      see: 'Compare the top bars. One long bar: Tiny is sure. Many short ones: several pieces fit.',
      say: 'Take the bars of the second beginning from the top. How many does it take until they are more than half of all [cumulative probability]?',
      options: { '1': 'one', '2': 'two', '3': 'three', '4': 'four', '5': 'five', more: 'six or more' },
      because:
        'The first {count} together are {percent}. After “The grass is” the top one alone has {other}.',
      found:
        'Tiny was {other} sure of the grass’s colour, and needed {count} pieces for half of what Mia lost.',
      captions: { grass: 'The grass is …', mia: 'One day, Mia could not find her …' },
    },
    compose: {
      title: 'Write a sentence together',
      text: [
        'Whoever can predict the next piece can write: take a piece, put it at the end, predict again. Every chatbot writes like this, one piece at a time [autoregressive].',
        'Now you are the one who chooses. Tiny offers its likeliest pieces, and you pick eight of them.',
      ],
      guess: 'How often will you take the piece that Tiny holds likeliest?',
      guesses: { few: '0 to 2 times', half: '3 to 5 times', most: '6 to 8 times' },
      press: 'Begin to write',
      see: 'Your choice changes what is likely afterwards. Tiny reads your whole text again for every piece.',
      say: 'How often did you take its favourite?',
      options: { few: '0 to 2 times', half: '3 to 5 times', most: '6 to 8 times' },
      because: 'You took the top piece {count} times of {all}. You wrote: “{text}”',
      found: 'I wrote with Tiny: “{text}”',
      captions: { mine: 'Your text' },
    },
    chance: {
      title: 'Why does it not always say the same?',
      text: [
        'A chatbot gives two answers to one question. Yet a model computes the same chances every time. The difference comes from how a piece is picked.',
        'Either always the likeliest [greedy], or by throwing dice that fall on a piece as often as its bar is long [sampling, temperature 1].',
      ],
      guess:
        'Tiny goes on from “One morning,” six times: three times with the likeliest pieces, three times with dice. How many different texts will there be?',
      guesses: { one: '1 or 2', some: '3 or 4', all: '5 or 6' },
      press: 'Let it write six times',
      see: 'The first three took the likeliest piece every time. The last three threw dice.',
      say: 'How many of the six texts are different from each other?',
      options: { '1': '1', '2': '2', '3': '3', '4': '4', '5': '5', '6': '6' },
      because: 'There are {count} different texts. The likeliest pieces gave {greedy}, the dice {sampled}.',
      found: 'Three texts of the likeliest pieces: {greedy} different. Three with dice: {sampled} different.',
      captions: { six: 'One morning, …' },
    },
    learn: {
      title: 'Teach it somebody new',
      text: [
        'Tiny has never heard of {name}. You have a list of {rows} questions with answers about a {kind} of this name [training data].',
        'Training goes like this: Tiny predicts the answer piece by piece. Wherever it was surprised, its numbers are moved a little, so that the right piece becomes likelier [gradient descent]. Then the next rows.',
      ],
      guess:
        'Somebody asks “What kind of animal is {name}?”, and the answer begins “{name} is a”. How likely will “{kind}” be after the training?',
      guesses: { rare: 'less than 10 %', some: '10 to 50 %', most: '50 to 90 %', sure: 'more than 90 %' },
      press: 'Train Tiny',
      see: 'The line is Tiny’s surprise [loss]: it falls as it learns. The bars show the same question before and after.',
      say: 'How many times as likely is the first piece of “{kind}” now as before?',
      options: {
        less: 'not likelier than before',
        few: 'up to 10 times',
        many: '10 to 100 times',
        huge: 'more than 100 times',
      },
      because:
        'Before: {before}. After {steps} steps: {after}. That is {times} times as much. No sentence was stored: the chances have moved.',
      found: '“{name} is a {kind}” went from {before} to {after} in {steps} steps.',
      captions: { before: 'Before: {name} is a …', after: 'After: {name} is a …', run: 'Tiny’s surprise' },
    },
    surprise: {
      title: 'See where it was surprised',
      text: [
        'The loss is an average over all pieces. Here you see it piece by piece: the paler a piece, the less Tiny expected it.',
        'On top stands the answer as Tiny reads it without the training, below with it.',
      ],
      guess:
        'Which part of “{name} is a white {kind}. He lives on the roof of the bakery.” surprises the untrained Tiny most?',
      guesses: {
        name: 'a piece of “{name}”',
        kind: 'a piece of “white {kind}”',
        roof: 'a piece of “on the roof”',
        bakery: 'a piece of “of the bakery”',
      },
      press: 'Let Tiny read the answer',
      see: 'Pale: unexpected. Strong: expected. The three that were expected least are named below each text.',
      say: 'Which piece did the untrained Tiny expect least?',
      options: {},
      because:
        'It held “{token}” {percent} likely there, and {after} after the training. Surprise falls where there was something to learn.',
      found: 'The untrained Tiny expected “{token}” least ({percent}); trained: {after}.',
      captions: { untrained: 'Untrained', trained: 'Trained' },
    },
  },
  end: [
    'You have seen all that a language model does: it computes how likely each next piece is, somebody picks one, and training moves the chances.',
    'The large models that you know do just this, with a hundred thousand pieces and a million times as many numbers.',
  ],
};
