/** One prompt, two answers: the tuned one at other strengths of its adapter. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CHATS, bytes, openTiny, until, workspace } from './browser.mjs';

let page;
before(async () => {
  page = await workspace('compare');
  await openTiny(page);
  await page.useData(page.data.read('cats.jsonl', bytes(CHATS), null));
  const recipe = { device: 'cpu', train: { max_steps: 12, learning_rate: 5e-3 }, eval: { probe: false } };
  await page.recipe.replace(JSON.stringify(recipe));
  await page.training.start();
  await until(page.training, () => page.training.state === 'finished');
});
after(() => page.close());

test('the tuned answer follows the strength, at 0 to the base', async () => {
  const { compare } = page;
  const question = {
    prompt: 'Where is cat number 99?',
    system: '',
    maxNewTokens: 24,
    temperature: 0,
    answer: '',
  };
  await compare.ask(question);
  const [base, tuned] = [compare.base.text, compare.tuned.text];
  assert.match(tuned, /The cat sleeps on the roof/);
  assert.notEqual(tuned, base);
  await compare.changeStrength(0);
  assert.deepEqual([compare.tuned.text, compare.tuned.strength], [base, 0]);
  assert.equal(compare.base.text, base);
  // The last of several is what counts.
  await Promise.all([compare.changeStrength(2), compare.changeStrength(0.5), compare.changeStrength(1)]);
  await until(compare, () => !compare.busy);
  assert.deepEqual([compare.tuned.text, compare.tuned.strength], [tuned, 1]);
  assert.equal(compare.error, null);
});
