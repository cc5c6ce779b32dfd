import type { LessonWords } from '../words.js';

/** Lesson 5. */
export const rlhf: LessonWords = {
  title: 'Be the human in RLHF',
  goal: 'A model can learn from praise alone, without being told a right answer. It learns what is praised, and not what was meant.',
  fields: {},
  steps: {
    rate: {
      title: 'Praise and blame',
      text: [
        'Here nobody shows Tiny how to answer. It writes four answers to a question by throwing dice, and you say how good each is. Answers that you praise become likelier, the others less likely.',
        'Chatbots got their manners like this, from thousands of people [reinforcement learning from human feedback]. Now you are one of them. Decide what you want, and keep to it.',
      ],
      guess: 'What will you praise?',
      guesses: { short: 'short answers', long: 'long answers' },
      press: 'Begin to rate',
      see: 'You have rated the answers to every question. Four that are rated alike teach nothing: only differences count.',
      say: 'Were your ratings in the second half better than in the first, on average [reward]?',
      options: { higher: 'better', same: 'about the same', lower: 'worse' },
      because: 'First half {first}, second half {second}, over {steps} rounds (good is 1, so-so 0.5, bad 0).',
      found: 'My ratings: {first} in the first half, {second} in the second.',
      captions: { rated: 'Your ratings' },
    },
    after: {
      title: 'Did it understand you?',
      text: [
        'You never said what you wanted. Did Tiny find out?',
        'Here it answers six questions that you have not rated, before your ratings and after.',
      ],
      guess: 'How long are its answers now?',
      guesses: { shorter: 'shorter', same: 'about the same', longer: 'longer' },
      press: 'Compare',
      see: 'First the answers of before, then those of after your ratings.',
      say: 'How has the number of words changed on average?',
      options: {
        shorter: 'shorter by a word or more',
        same: 'less than a word',
        longer: 'longer by a word or more',
      },
      because: 'Before: {before} words on average. After: {after}.',
      found: 'Words an answer: {before} before, {after} after.',
      captions: { before: 'Before', after: 'After your ratings' },
    },
    machine: {
      title: 'A machine that praises',
      text: [
        'People tire. So a rule takes your place: it gives most to answers of three words, whatever they say [reward function].',
        'In a few seconds it rates 768 answers.',
      ],
      guess: 'How much will an answer tell you about whom you asked for?',
      guesses: { better: 'more', same: 'as much', worse: 'less' },
      press: 'Let the rule rate',
      see: 'The curve is the reward: it rises. Now read the answers.',
      say: 'How many of the six answers have at most four words?',
      options: {},
      because:
        '{short} of {all}; {before} words on average before, {after} now. The reward was reached exactly as it was written down [reward hacking].',
      found: 'By a rule: {short} of {all} answers of at most four words.',
      captions: { machine: 'What the rule gives', hacked: 'After the rule' },
    },
  },
  end: [
    'Praise is enough to change a model. It learned your taste without a single right answer.',
    'And it does what is rewarded, not what was meant. Whoever writes the rule has to think of everything.',
  ],
};
