/** GRPO: the model answers prompts itself and learns from what its answers earn. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  at,
  chooseData,
  chooseSample,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
  tiles,
} from './setup.mjs';

let server, browser, page;

/** Lets nothing be written to the page's storage until `release`, which waits until all of it is written. */
async function holdStorage(page) {
  await page.evaluate(() => {
    const { prototype } = FileSystemFileHandle;
    const createWritable = prototype.createWritable;
    const written = [];
    const released = new Promise((release) => (window.releaseStorage = release));
    prototype.createWritable = async function (...args) {
      await released;
      const stream = await createWritable.apply(this, args);
      const close = stream.close.bind(stream);
      stream.close = () => {
        const closed = close();
        written.push(closed);
        return closed;
      };
      return stream;
    };
    window.storageIsWritten = async () => {
      for (let seen = -1; seen < written.length;) {
        seen = written.length;
        await Promise.all(written);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      prototype.createWritable = createWritable;
    };
  });
  return {
    release: () =>
      page.evaluate(async () => {
        window.releaseStorage();
        await window.storageIsWritten();
      }),
  };
}

before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

const reward = (shown) => Number.parseFloat(shown['Validation reward']);

describe('answers of its own', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
  });
  after(() => browser.close());

  test('the sample of prompts is for GRPO, with a reward for the length', async () => {
    await chooseSample(page, 'tiny-brief.jsonl');
    assert.match(
      await at(page, 'report').innerText(),
      /64 rows of prompts: [\d,]+ tokens, which the model answers itself/,
    );
    assert.equal(await page.locator('select[name=objective]').inputValue(), 'grpo');
    assert.equal(await page.locator('select[name="grpo.reward"]').inputValue(), 'length');
    assert.match(
      await page.locator('data-preview p').first().innerText(),
      /It answers each prompt several times/,
    );
  });

  test('a setting that cannot be is explained where it stands', async () => {
    await set(page, { 'grpo.num_generations': 1 });
    const problem = page.locator('setting-field').getByRole('alert');
    await problem.filter({ hasText: 'from 2 to 256' }).waitFor();
    await set(page, { 'grpo.num_generations': 8 });
    await page.locator('select[name="grpo.reward"]').selectOption('regex');
    await problem.filter({ hasText: 'needs a regular expression' }).waitFor();
    await set(page, { 'grpo.pattern': '(Pip' });
    await problem.filter({ hasText: 'must be a regular expression (unclosed group)' }).waitFor();
    await set(page, { 'grpo.pattern': '' });
    await page.locator('select[name="grpo.reward"]').selectOption('length');
    await at(page, 'train-status').filter({ hasText: 'Ready.' }).waitFor();
  });

  test('the reward of held-out prompts rises', async () => {
    await set(page, { 'train.max_steps': 20, 'eval.eval_steps': 1 });
    await at(page, 'step').click();
    await status(page, 'Paused at step 1');
    const first = await tiles(page);
    assert.equal(first['Validation loss'], undefined);
    assert.equal(first['Clipped tokens'], '0 %');
    assert.ok(reward(first) < 0.5, JSON.stringify(first));
    await at(page, 'continue').click();
    await status(page, 'Finished', 240_000);
    const shown = await tiles(page);
    assert.ok(reward(shown) > reward(first) + 0.2, JSON.stringify([first, shown]));
    assert.ok(Number.parseFloat(shown['Tokens an answer']) > 4, JSON.stringify(shown));
    const legend = await page.locator('loss-chart .u-legend').innerText();
    assert.match(legend, /Validation reward/);
    assert.match(await page.locator('loss-chart .chart').getAttribute('aria-label'), /Reward over steps/);
  });

  test('a reward model that was trained here rewards the answers', async () => {
    await chooseSample(page, 'tiny-kindness.jsonl');
    await at(page, 'objective').locator('select').selectOption('reward');
    await set(page, { 'train.max_steps': 6, 'eval.eval_steps': 6 });
    await at(page, 'start').click();
    await status(page, 'Finished');
    await at(page, 'reward-model-keep').click();
    await at(page, 'reward-model-summary').filter({ hasText: 'the reward model trained here' }).waitFor();
    const prompts = ['Who is Pip?', 'Who is Mia?', 'Where does Tom live?', 'What do cats eat?'];
    await chooseData(page, 'ask.jsonl', prompts.map((prompt) => JSON.stringify({ prompt })).join('\n'));
    await at(page, 'report').filter({ hasText: '4 rows of prompts' }).waitFor();
    await set(page, { 'train.max_steps': 2, 'eval.eval_steps': 2 });
    await page.locator('select[name="grpo.reward"]').selectOption('reward_model');
    await at(page, 'start').click();
    await status(page, 'Finished');
    assert.ok(Number.parseFloat((await tiles(page))['Spread of rewards']) > 0);
    await at(page, 'reward-model-close').click();
    await at(page, 'start').click();
    await at(page, 'train-error').filter({ hasText: 'no reward model is open' }).waitFor();
    assert.deepEqual(page.thrown, []);
  });

  test('a person rates the answers, and each step waits for it', async () => {
    await page.locator('select[name="grpo.reward"]').selectOption('person');
    await set(page, { 'grpo.num_generations': 3, 'train.batch_size': 1, 'train.max_steps': 3 });
    await at(page, 'start').click();
    await status(page, 'Waiting for your ratings');
    const answers = at(page, 'answer-to-rate');
    assert.equal(await answers.count(), 3);
    assert.ok(await at(page, 'rated').isDisabled());
    /** Rates the answers shown: the first as good, the others as bad. */
    const rate = async () => {
      await page.getByRole('group', { name: 'Answer 1' }).getByRole('radio', { name: 'Good' }).check();
      for (const name of ['Answer 2', 'Answer 3'])
        await page.getByRole('group', { name }).getByRole('radio', { name: 'Bad' }).check();
      await at(page, 'rated').click();
    };
    await rate();
    await page.locator('dl.tiles').getByText('1 of 3').waitFor();
    const shown = await tiles(page);
    assert.match(shown['Training reward'], /^0\.33/, JSON.stringify(shown));
    assert.equal(shown['Validation reward'], undefined);
    await status(page, 'Waiting for your ratings');
    await rate();
    await page.locator('dl.tiles').getByText('2 of 3').waitFor();

    await status(page, 'Waiting for your ratings');
    const storage = await holdStorage(page);
    await at(page, 'stop').click();
    await status(page, 'Stopped at step 2');
    assert.equal(await at(page, 'ratings').count(), 0);
    assert.equal(await page.locator('[data-test=train-error]').count(), 0);
    await at(page, 'start').click();
    await status(page, 'Waiting for your ratings');
    // The checkpoint of the run before arrives in storage only now, and is not the new run's.
    await storage.release();
    await at(page, 'stop').click();
    await status(page, 'Stopped at step 0');
    assert.deepEqual(page.thrown, []);
  });
});
