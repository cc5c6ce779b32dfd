import type { LessonWords } from '../words.js';

/** Lesson 2. */
export const style: LessonWords = {
  title: 'Teach it a style',
  goal: 'Different examples teach what they have in common. One example, seen again and again, only teaches itself.',
  fields: { phrase: 'How every answer ends' },
  steps: {
    before: {
      title: 'Before: how does it answer?',
      text: [
        'Tiny answers questions about the village of Fernbrook in plain sentences. You are going to teach it to end every answer with “{phrase}”.',
        'Whoever wants to show that a training did something has to measure before it as well [baseline]. So here are eight questions that it will never be trained on [test set].',
      ],
      guess: 'How many of the eight answers are right before any training?',
      guesses: { few: '0 to 3', half: '4 to 6', most: '7 or 8' },
      press: 'Ask the eight questions',
      see: 'A tick stands behind an answer that says what is true in Fernbrook. A star stands behind one in your style.',
      say: 'How many answers are in your style?',
      options: {},
      because:
        '{style} of {all} end with “{phrase}”, and {right} of {all} are right. These are the figures to compare with.',
      found: 'Before: {style} of {all} in style, {right} right.',
      captions: { base: 'Untrained' },
    },
    few: {
      title: 'One example, again and again',
      text: [
        'Now the training, with a single example: one question and its answer in your style. Tiny sees it {epochs} times [epochs].',
        'Only a small add-on is trained. The million numbers of the model stay as they are [LoRA adapter].',
      ],
      guess: 'After this one example: how many of the eight other answers will be in your style?',
      guesses: { few: '0 to 2', half: '3 to 5', most: '6 to 8' },
      press: 'Train on one example, then ask',
      see: 'The curve falls nearly to nothing: the example is known by heart. Now look for the stars.',
      say: 'How many of the eight answers are in your style?',
      options: {},
      because:
        '{style} of {all}, and {right} are right. From one example it cannot tell what is the style in it. It has learned one sentence.',
      found: 'One example, {epochs} times: {style} of {all} answers in style.',
      captions: { fewRun: 'Training on one example', few: 'Trained on one example' },
    },
    many: {
      title: 'Many different examples',
      text: [
        'The same once more, from the beginning: as many steps, the same settings. Only now there are {rows} different examples, each seen {epochs} times.',
        'What they say is different every time, and Tiny knows it already. What all of them have in common is the style.',
      ],
      guess: 'How many of the eight answers will be in your style now?',
      guesses: { few: '0 to 2', half: '3 to 5', most: '6 to 8' },
      press: 'Train on all examples, then ask',
      see: 'Stars and ticks of both runs, one below the other.',
      say: 'How many of the eight answers are both in your style and right?',
      options: {},
      because:
        'Many examples: {style} in style, {right} right, {both} both. One example: {fewStyle} in style, {fewRight} right, {fewBoth} both. As many steps, other data.',
      found: '{rows} examples: {style} of {all} answers in style, {right} right.',
      captions: {
        manyRun: 'Training on all examples',
        many: 'Trained on all examples',
        few: 'Trained on one example',
      },
    },
    elsewhere: {
      title: 'Where does the style go?',
      text: [
        'All examples were short questions about the village. What about things that are quite different: a greeting, a request, something Tiny cannot know?',
        'A model that has learned something often does it where nobody asked for it [generalisation]. That can be wanted, or not.',
      ],
      guess: 'In how many of four quite different answers will the style be?',
      guesses: { none: 'in none', some: 'in 1 to 3', all: 'in all four' },
      press: 'Ask four other things',
      see: 'Nothing of this kind was among the examples.',
      say: 'In how many of the four answers is the style?',
      options: {},
      because:
        'In {count} of 4. Tiny was never told “always”. It has moved its chances for what comes after a sentence, whatever the question.',
      found: 'In quite different answers: {count} of 4 in style.',
      captions: { other: 'Trained on all examples' },
    },
    end: {
      title: 'What has moved?',
      text: [
        'Somebody asks “Where does Mia live?”, and the answer so far is “Mia lives in the red house.” Untrained, Tiny stops here. To stop is a piece like any other [end token]: it too has its chance.',
        'In your style the answer goes on instead. So look at the chances of what comes after the full stop, before and after the training.',
      ],
      guess: 'How likely is it now that the trained Tiny stops after the full stop?',
      guesses: { rare: 'less than 10 %', some: '10 to 50 %', most: '50 to 90 %', sure: 'more than 90 %' },
      press: 'Compare what comes next',
      see: 'The same question and the same beginning; only the add-on is put on or left off.',
      say: 'How likely is the top piece of the trained model?',
      options: { rare: 'less than 10 %', some: '10 to 50 %', most: '50 to 90 %', sure: 'more than 90 %' },
      because:
        'Trained, it goes on with “{token}” ({percent}); untrained, with “{baseToken}” ({basePercent}). A style is a change of chances, and here you see nearly all of it.',
      found: 'After the answer: “{baseToken}” before, “{token}” after the training ({percent}).',
      captions: {
        untrained: 'Untrained: Mia lives in the red house. …',
        trained: 'Trained: Mia lives in the red house. …',
      },
    },
  },
  end: [
    'What many different examples have in common is what a model learns from them. From one example it learns that example.',
    'And to know which of the two it was, you had to ask questions that were not among the examples, before and after.',
  ],
};
