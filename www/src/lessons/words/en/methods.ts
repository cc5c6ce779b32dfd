import type { LessonWords } from '../words.js';

/** Lesson 6. */
export const methods: LessonWords = {
  title: 'How much of it must change?',
  goal: 'A model that was trained before can be trained further in its last layer, in a small add-on, or in all its numbers. That differs in what it costs, and in what it brings.',
  fields: { phrase: 'How every answer ends' },
  steps: {
    last: {
      title: 'Only the last layer',
      text: [
        'Tiny is built of five floors [layers]. What it reads goes up through all of them, and from the topmost come the chances of the next piece.',
        'The cheapest way: all floors stay as they are, and only the topmost learns [transfer learning]. The task is that of lesson 2: every answer ends with “{phrase}”.',
      ],
      guess: 'In how many of the eight answers will the style be?',
      guesses: { few: '0 to 2', half: '3 to 5', most: '6 to 8' },
      press: 'Train the last layer',
      see: 'How far does the surprise fall? And what do stars and ticks say?',
      say: 'How many answers are both in the style and right?',
      options: {},
      because:
        '{both} of {all}: {style} have the style, {right} are right. {trainable} numbers were trained, in {seconds} s; the loss came to {loss}.',
      found: 'Last layer: {trainable} numbers, {style} of {all} in style, {right} right.',
      captions: { last: 'Last layer', lastAnswers: 'Last layer' },
    },
    lora: {
      title: 'A small add-on on every floor',
      text: [
        'The second way: beside every floor a small add-on learns, and all of them together are much smaller than the model [LoRA]. The floors themselves stay.',
        'The same rows, the same number of steps.',
      ],
      guess: 'In how many of the eight answers will the style be now?',
      guesses: { few: '0 to 2', half: '3 to 5', most: '6 to 8' },
      press: 'Train the add-on',
      see: 'Both curves begin at the same height.',
      say: 'How many answers are both in the style and right?',
      options: {},
      because:
        '{both} of {all}: {style} have the style, {right} are right. {trainable} numbers were trained, in {seconds} s; the loss came to {loss}.',
      found: 'Add-on: {trainable} numbers, {style} of {all} in style, {right} right.',
      captions: { loraAnswers: 'Add-on', 'lora short': 'add-on', 'last short': 'last' },
    },
    full: {
      title: 'All its numbers',
      text: [
        'The third way: every number of the model may move [full fine-tuning]. With Tiny that is a million, with a large model many billions, and beside each of them the training keeps three more.',
        'Again the same rows and as many steps, only that each is half as wide: who moves everything must move it carefully.',
      ],
      guess: 'How many of the eight answers will still be right?',
      guesses: { few: '0 to 2', half: '3 to 5', most: '6 to 8' },
      press: 'Train everything',
      see: 'Three curves, three ways, and the answers of the third.',
      say: 'How many of the eight answers are right?',
      options: {},
      because:
        '{right} of {all}; with the last layer {lastRight} were right, with the add-on {loraRight}. {trainable} numbers were trained, and {style} answers have the style. Who moves everything also moves what was known.',
      found: 'Everything: {trainable} numbers, {style} of {all} in style, {right} right.',
      captions: {
        fullAnswers: 'Everything',
        'full short': 'all',
        'lora short': 'add-on',
        'last short': 'last',
      },
    },
  },
  end: [
    'Who trains fewer numbers needs less memory, and loses less of what the model knew. For a style, a small add-on is enough.',
    'That is why a model can be trained in this tab at all.',
  ],
};
