/** One Stop ends all that one press asked for, queued or running, within a token. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CHATS,
  at,
  chooseData,
  go,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
} from './setup.mjs';

let server, browser, page;
before(
  async () => {
    server = await startServer();
    browser = await startBrowser();
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser?.close();
  server?.stop();
});

const TINY = fileURLToPath(new URL('../public/models/tiny', import.meta.url));

/** At this temperature any token follows any other, so that an answer hardly ever ends by itself. */
const ENDLESS = { tokens: '480', temperature: '20' };

describe('Stop', () => {
  before(async () => {
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await go(page, 'try');
    const section = page.locator('compare-section');
    await section.locator('details').evaluate((details) => (details.open = true));
    await section.locator('#length').fill(ENDLESS.tokens);
    await section.locator('#temperature').fill(ENDLESS.temperature);
    await page.locator('#pick-length').fill(ENDLESS.tokens);
    await page.locator('#pick-temperature').fill(ENDLESS.temperature);
  });
  const stop = (section) => page.locator(section).getByRole('button', { name: 'Stop', exact: true });
  const ended = (section) => stop(section).waitFor({ state: 'detached' });
  const answer = (side) => page.locator(`compare-section article.${side}`);
  /**
   * Presses a button of a section, and Stop once the text of `where` has `words`. It runs in the page, where nothing between two
   * presses takes time: an answer may end before a slow test comes to its Stop.
   */
  const pressAndStop = (section, button, where = button, words = /^/) =>
    page.locator(section).evaluate(
      async (section, [button, where, words]) => {
        const root = section.shadowRoot;
        const at = (name) => root.querySelector(`[data-test="${name}"]`);
        const stop = () =>
          [...root.querySelectorAll('button')].find(({ textContent }) => textContent === 'Stop');
        at(button).click();
        while (!stop() || !words.test(at(where)?.textContent ?? ''))
          await new Promise((resolve) => setTimeout(resolve, 2));
        stop().click();
      },
      [button, where, words],
    );
  const CUT = 'Cut at the most tokens allowed.';

  test('ends an answer that waits for its turn at once, and it is never written', async () => {
    await page.locator('#pick-prompt').fill('Tell me about a mouse.');
    await page.locator('#prompt').fill('Tell me about a fox.');
    // All in the page, for the same reason: whether two answers are still written once the third one has ended.
    const sections = ['picks-section', 'compare-section'].map((name) => page.locator(name).elementHandle());
    const still = await page.evaluate(
      async (sections) => {
        const [picks, compare] = sections.map(({ shadowRoot }) => shadowRoot);
        const stop = (root) =>
          [...root.querySelectorAll('button')].find(({ textContent }) => textContent === 'Stop');
        const until = async (holds) => {
          while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
        };
        picks.querySelector('[data-test="two-answers"]').click();
        compare.querySelector('[data-test="ask"]').click();
        await until(() => stop(compare));
        stop(compare).click();
        await until(() => !stop(compare));
        return stop(picks) !== undefined;
      },
      await Promise.all(sections),
    );
    assert.ok(still, 'the two answers before it are still written');
    await at(page, 'answer-second').waitFor();
    assert.match(await answer('base').innerText(), /Its answer appears here/);
    assert.equal(await at(page, 'compare-error').count(), 0);
    await at(page, 'pick-skip').click();
  });

  test('ends both of two answers', async () => {
    await pressAndStop('picks-section', 'two-answers');
    await ended('picks-section');
    assert.equal(await at(page, 'answer-first').count(), 0);
    assert.equal(await at(page, 'picks-error').count(), 0);
  });

  test("ends the base's answer and the tuned model's, which has not begun", async () => {
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await set(page, { 'train.max_steps': 50, 'eval.validation_fraction': 0 });
    await at(page, 'step').click();
    await status(page, 'Paused at step 1');
    await go(page, 'try');
    await pressAndStop('compare-section', 'ask', 'answer-base', /\w{3}/);
    await ended('compare-section');
    const [base, tuned] = [await answer('base').innerText(), await answer('tuned').innerText()];
    assert.ok(!base.includes(CUT), `the base's answer had ended before the Stop: ${base}`);
    assert.match(tuned, /Its answer appears here/);
    assert.equal(await at(page, 'compare-error').count(), 0);
    // The next press is not stopped by it.
    await page.locator('#length').fill('12');
    await at(page, 'ask').click();
    await answer('tuned').filter({ hasText: CUT }).waitFor();
    await go(page, 'train');
    await at(page, 'stop').click();
    await status(page, 'Stopped at step 1');
  });

  test('ends the answers that a run samples, and the step with them', async () => {
    const prompts = ['Who is Pip?', 'Who is Mia?', 'Where does Tom live?', 'What do cats eat?'];
    await chooseData(page, 'ask.jsonl', prompts.map((prompt) => JSON.stringify({ prompt })).join('\n'));
    await at(page, 'report').filter({ hasText: '4 rows of prompts' }).waitFor();
    await set(page, {
      'train.max_steps': 20,
      'grpo.num_generations': 32,
      'grpo.max_completion_length': 480,
      'grpo.temperature': 10,
    });
    await page.locator('select[name="grpo.reward"]').selectOption('length');
    await at(page, 'start').click();
    await status(page, 'Training: the first step');
    await page.waitForTimeout(500);
    await at(page, 'stop').click();
    await status(page, 'Stopped at step 0');
    assert.deepEqual(page.thrown, []);
  });
});

test('Stop ends the opening of a model: what was open before is open again, and its run goes on', async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': 4000, 'eval.validation_fraction': 0 });
  await at(page, 'start').click();
  // Checkpoints come every 20 steps.
  const chart = await page.locator('loss-chart').elementHandle();
  await page.waitForFunction((chart) => chart.reports.at(-1)?.step > 21, chart);
  await at(page, 'pause').click();
  await status(page, 'Paused at step');
  await page.workers()[0].evaluate(readSlowly);
  await go(page, 'model');
  await page.locator('[data-test="model-files"] input[name=folder]').setInputFiles(TINY);
  const line = page.locator('model-section transfer-line');
  await line.filter({ hasText: 'Reading the weights' }).waitFor();
  await line.getByRole('button', { name: 'Stop', exact: true }).click();
  await go(page, 'train');
  await at(page, 'train-error')
    .filter({ hasText: /^The run is back at its last checkpoint, step \d+, on the CPU/ })
    .waitFor();
  assert.match(await at(page, 'model-facts').innerText(), /Tiny, a million parameters/);
  assert.equal(await line.getByRole('button').count(), 0, 'it is still being opened');
  await at(page, 'continue').click();
  await status(page, 'Training: step');
  await at(page, 'stop').click();
  await status(page, 'Stopped');
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

/** In a worker: a disk that takes a third of a second for each tensor. */
function readSlowly() {
  const { prototype } = FileReaderSync;
  const { readAsArrayBuffer } = prototype;
  prototype.readAsArrayBuffer = function (blob) {
    const until = performance.now() + 300;
    while (performance.now() < until);
    return readAsArrayBuffer.call(this, blob);
  };
}
