/** Lessons on the model: what each makes plain is so. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTiny, workspace } from './browser.mjs';

const { COURSE } = await import('../src/lessons/course/course.ts');
const { Lab } = await import('../src/lessons/lab.ts');
const { plain } = await import('../src/lessons/prose.ts');
const { en } = await import('../src/lessons/words/en.ts');

/** The guess of each step that comes true. What is not here hangs on the pupil. */
const TRUE = {
  predicts: { next: 'fish', sure: 'grass', chance: 'some', learn: 'most', surprise: 'kind' },
  style: { before: 'most', few: 'few', many: 'most', elsewhere: 'some', end: 'rare' },
  overfit: { heart: 'rises', read: 'some', data: 'more' },
  forget: { harsh: 'rises', lost: 'few', mixed: 'less', gentle: 'gentle' },
  rlhf: { rate: 'short', after: 'shorter', machine: 'worse' },
  methods: { last: 'most', lora: 'most', full: 'few' },
};

let page, lab;
before(async () => {
  page = await workspace('lessons');
  await openTiny(page);
  lab = new Lab(page);
  // A pupil who takes the second piece, and praises short answers.
  lab.subscribe(() => lab.composing && setTimeout(() => lab.choose(1)));
  let rated = null;
  page.ratings.subscribe(() => {
    const { answers } = page.ratings;
    if (answers.length === 0 || answers === rated) return;
    rated = answers;
    const middle = answers.map(({ length }) => length).sort((a, b) => a - b)[answers.length >> 1];
    answers.forEach(({ length }, place) => page.ratings.rate(place, length < middle ? 1 : 0));
    setTimeout(() => void page.ratings.done());
  });
});
after(() => page.close());

for (const lesson of COURSE.filter(({ id }) => !process.env.LESSON || process.env.LESSON === id)) {
  test(`lesson ${lesson.id}`, { timeout: 120_000 }, async () => {
    let evidence = {};
    for (const step of lesson.steps) {
      const found = await lab.perform(step.actions, lesson);
      assert.ok(found, `${step.id}: ${lab.error?.text}`);
      evidence = { ...evidence, ...found };
      const { options, right, values } = step.question(evidence, lesson.fields);
      const offered = options.map(({ id }) => id);
      assert.ok(offered.includes(right), `${step.id}: ${right} is not among ${offered}`);
      assert.equal(new Set(offered).size, offered.length, `${step.id}: ${offered}`);
      const words = en.lessons[lesson.id].steps[step.id];
      for (const { id, text } of options)
        assert.ok(text ?? words.options[id], `${step.id}: ${id} has no words`);
      // Nothing is left in braces.
      const all = { ...lesson.fields, rows: '', epochs: '', ...step.values?.(lesson), ...values };
      for (const said of [words.because, words.found, words.say, words.see, ...words.text])
        assert.doesNotMatch(plain(said, all), /[{}]|undefined|NaN/, step.id);
      const borneOut = step.borneOut(evidence, lesson.fields);
      if (process.env.TELL)
        console.log(`${lesson.id}, ${step.id}: ${borneOut}; ${plain(words.because, all)}`);
      const expected = TRUE[lesson.id]?.[step.id];
      if (expected) assert.equal(borneOut, expected, `${step.id}: ${plain(words.because, all)}`);
    }
  });
}
