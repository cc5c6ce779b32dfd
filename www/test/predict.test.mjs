/** Predictions: the likeliest next tokens, and how likely a text is, against what the same model writes and loses. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bytes, openTiny, workspace } from './browser.mjs';

const PROMPT = 'What does Pip like to eat?';
const ANSWER = 'Pip likes to eat fish.';

let page, trainer;
before(async () => {
  page = await workspace('predict');
  await openTiny(page);
  trainer = await page.trainer.client();
});
after(() => page.close());

const predict = (asked) =>
  trainer.predict({ messages: null, prompt: null, raw: false, text: '', adapter: false, most: 5, ...asked });

test('the likeliest tokens, one after the other, are what a greedy answer writes', async () => {
  const sampling = { temperature: 0, top_k: null, top_p: null, seed: 0 };
  const asked = {
    messages: null,
    prompt: PROMPT,
    raw: false,
    adapter: false,
    max_new_tokens: 5,
    ...sampling,
  };
  const { text: written } = await trainer.generate(asked);
  let text = '';
  for (let token = 0; token < 5; token++) {
    const { next } = await predict({ prompt: PROMPT, text });
    assert.equal(next.length, 5);
    const probabilities = next.map(({ probability }) => probability);
    assert.deepEqual(
      probabilities,
      [...probabilities].sort((a, b) => b - a),
    );
    text += next[0].token;
  }
  assert.equal(text.trim(), written.trim());
});

test('the probabilities of an answer are those of its loss', async () => {
  const row = JSON.stringify({ prompt: PROMPT, completion: ANSWER });
  const recipe = await trainer.validateRecipe({ device: 'cpu', eval: { validation_fraction: 0 } });
  await trainer.openData('one.jsonl', bytes(row), recipe);
  const { loss, tokens } = await trainer.score(recipe, false);
  // The end of the answer is learned, too, and the line end that the template writes after it.
  const { text } = await predict({ prompt: PROMPT, text: `${ANSWER}<|im_end|>\n` });
  assert.equal(text.length, tokens);
  assert.equal(text.map(({ token }) => token).join(''), `${ANSWER}<|im_end|>\n`);
  const mean = text.reduce((sum, { probability }) => sum - Math.log(probability), 0) / tokens;
  assert.ok(Math.abs(mean - loss) < 1e-4, `${mean} and ${loss}`);
});

test('what cannot be predicted is said', async () => {
  await assert.rejects(
    predict({ prompt: '', raw: true }),
    /the prompt is empty; write something to go on from/,
  );
  await assert.rejects(predict({ prompt: PROMPT, adapter: true }), { kind: 'training' });
  const long = 'fish '.repeat(600);
  await assert.rejects(
    predict({ prompt: PROMPT, text: long }),
    /but the model has positions for 512; shorten them/,
  );
});
