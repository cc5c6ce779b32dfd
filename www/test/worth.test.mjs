/** Is it worth it? A store that measures, on rows that no run has seen, and never beside a run. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CHATS, bytes, openTiny, until, workspace } from './browser.mjs';

let page;
before(async () => {
  page = await workspace('worth');
  await openTiny(page);
  await page.useData(page.data.read('cats.jsonl', bytes(CHATS), null));
  await set({
    train: { max_steps: 12, learning_rate: 5e-3 },
    eval: { validation_fraction: 0.4, probe: false },
  });
});
after(() => page.close());

const set = (settings) => page.recipe.replace(JSON.stringify({ device: 'cpu', ...settings }));
const figure = (way, name) => {
  const found = page.worth.result.ways.find((other) => other.way === way);
  return found.figures.find((other) => other.name === name).value;
};

test('base and examples are measured before a run, the tuned model after it, on the same rows', async () => {
  page.worth.change({ rows: 4, examples: 2 });
  let most = 0;
  const unsubscribe = page.worth.subscribe(() => (most = Math.max(most, page.worth.progress?.done ?? 0)));
  await page.worth.measure();
  unsubscribe();
  assert.equal(page.worth.error, null);
  assert.equal(most, 7, 'the last of eight answers was never told to be under way');
  const before = page.worth.result;
  assert.deepEqual([before.rows, before.examples, before.stopped], [4, 2, false]);
  assert.deepEqual(
    before.ways.map(({ way }) => way),
    ['base', 'examples'],
  );

  await page.training.start();
  await until(page.training, () => page.training.state === 'finished');
  await page.worth.measure();
  const { ways, answers, sentence } = page.worth.result;
  assert.deepEqual(
    ways.map(({ way }) => way),
    ['base', 'examples', 'tuned'],
  );
  assert.equal(page.worth.step, 12);
  assert.deepEqual(
    answers.map(({ line }) => line),
    before.answers.map(({ line }) => line),
  );
  const [base, examples, tuned] = ways;
  assert.ok(examples.prompt_tokens > 2 * base.prompt_tokens);
  assert.equal(tuned.prompt_tokens, base.prompt_tokens);
  const words = 'words as in the row';
  assert.ok(figure('tuned', words) > figure('base', words) + 0.3, sentence);
  assert.ok(figure('tuned', 'loss per answer token') < figure('base', 'loss per answer token'));
  assert.ok(answers.every(({ given }) => given.length === 3));
});

test('a measurement that is stopped has the rows that are done', async () => {
  page.worth.change({ rows: 9, examples: 1 });
  const unsubscribe = page.worth.subscribe(() => page.worth.progress?.done === 4 && page.worth.cancel());
  await page.worth.measure();
  unsubscribe();
  const { rows, stopped } = page.worth.result;
  assert.deepEqual([rows, stopped, page.worth.busy], [1, true, false]);
});

test('none is begun beside a run, and a run that begins ends one', async () => {
  const measuring = page.worth.measure();
  await until(page.worth, () => page.worth.progress !== null);
  await page.training.start();
  await measuring;
  assert.ok(page.worth.stopped || page.worth.result.stopped);
  const before = page.worth.result;
  if (page.training.active) {
    await page.worth.measure();
    assert.equal(page.worth.result, before);
  }
  await until(page.training, () => page.training.state === 'finished');
  assert.equal(page.training.error, null);
  assert.equal(page.training.reports.length, 12);
});

test('other rows leave the figures behind, and no held-out row is a sentence that says what to do', async () => {
  assert.notEqual(page.worth.result ?? page.worth.stopped, null);
  await set({ train: { max_steps: 2 }, eval: { validation_fraction: 0, probe: false } });
  await page.useData(page.data.read('others.jsonl', bytes(CHATS.replaceAll('cat', 'dog')), null));
  assert.equal(page.worth.result, null);
  await page.worth.measure();
  assert.equal(page.worth.result, null);
  assert.equal(page.worth.error.key, 'eval.validation_fraction');
  assert.match(page.worth.error.text, /set it to 0\.1/);
});
