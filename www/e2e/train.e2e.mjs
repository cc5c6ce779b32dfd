/** From a model to an adapter, on the processor and on software WebGPU. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import {
  CHATS,
  SOFTWARE_WEBGPU,
  at,
  chooseData,
  chooseSample,
  go,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
  tiles,
  zipEntries,
} from './setup.mjs';

let server;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

describe('training on the processor', () => {
  let browser, page;
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
  });
  after(() => browser.close());

  test('tiny opens and takes its first step', async (t) => {
    const fresh = await openPage(browser, `${server.url}?device=cpu`);
    const begun = Date.now();
    await fresh.reload();
    await openTiny(fresh);
    await chooseSample(fresh, 'newcomer.jsonl');
    await at(fresh, 'report').waitFor();
    await go(fresh, 'train');
    await at(fresh, 'step').click();
    await status(fresh, 'Paused at step 1');
    const seconds = (Date.now() - begun) / 1000;
    t.diagnostic(`from reload to the end of the first step: ${seconds.toFixed(2)} s`);
    assert.deepEqual(fresh.thrown, []);
    await fresh.context().close();
  });

  test('the model opens and the network is locked', async () => {
    await openTiny(page);
    assert.match(await at(page, 'model-facts').innerText(), /tiny/i);
    await page.getByText('Network locked').waitFor();
    const refused = () =>
      fetch('./models/index.json').then(
        () => false,
        () => true,
      );
    assert.equal(await page.evaluate(refused), true, 'the page can still fetch');
    const workerRefused = (url) =>
      fetch(url).then(
        () => false,
        () => true,
      );
    assert.equal(await page.workers()[0].evaluate(workerRefused, server.url), true, 'the worker can fetch');
  });

  test('data is understood and shown with the trained tokens marked', async () => {
    await chooseData(page, 'cats.jsonl', CHATS);
    const report = await at(page, 'report').innerText();
    assert.match(report, /cats\.jsonl holds 24 rows of chat messages/);
    const marked = await at(page, 'preview').locator('mark').first().innerText();
    assert.match(marked, /The cat sleeps on the roof/);
    assert.doesNotMatch(
      await at(page, 'preview').locator('mark').allInnerTexts().then(String),
      /Where is cat/,
    );
  });

  test('one step, then pause, go on, stop', async () => {
    await set(page, {
      'train.max_steps': 400,
      'train.learning_rate': 0.005,
      'eval.eval_steps': 10,
      'lora.rank': 8,
    });
    await at(page, 'step').click();
    await status(page, 'Paused at step 1');
    await at(page, 'step').click();
    await status(page, 'Paused at step 2');
    await at(page, 'continue').click();
    await status(page, 'Training');
    await page.waitForFunction((name) => {
      const app = document.querySelector('loralet-app').shadowRoot;
      const tiles = app.querySelector('train-section').shadowRoot.querySelector(name);
      return Number(/Step\s*(\d+)/.exec(tiles?.innerText ?? '')?.[1]) > 15;
    }, '[data-test="tiles"]');
    await at(page, 'pause').click();
    await status(page, 'Paused at step');
    const paused = (await tiles(page)).Step;
    await page.waitForTimeout(400);
    assert.equal((await tiles(page)).Step, paused, 'it went on although paused');
    assert.notEqual((await tiles(page))['Validation loss'], '–');
    await at(page, 'stop').click();
    await status(page, 'Stopped at step');
  });

  test('a whole run learns: the loss falls', async () => {
    await set(page, { 'train.max_steps': 30 });
    await at(page, 'start').click();
    await status(page, 'Finished');
    const chart = page.locator('loss-chart');
    const losses = await chart.evaluate((element) => element.reports.map((report) => report.loss));
    assert.equal(losses.length, 30);
    assert.ok(losses.at(-1) < 0.7 * losses[0], `from ${losses[0]} to ${losses.at(-1)}`);
    assert.equal((await tiles(page)).Step, '30 of 30');
  });

  test('base and tuned answer side by side', async () => {
    await go(page, 'try');
    await page.getByLabel('Prompt', { exact: true }).fill('Where is cat number 7?');
    await at(page, 'ask').click();
    await answered(page);
    await page.getByRole('button', { name: 'Answer with both' }).and(page.locator(':enabled')).waitFor();
    assert.match(await at(page, 'answer-tuned').innerText(), /The cat sleeps on the roof\./);
    assert.doesNotMatch(await page.locator('article.base').innerText(), /sleeps on the roof\./);
  });

  test('a question is answered while training', async () => {
    await set(page, { 'train.max_steps': 2000 });
    await at(page, 'start').click();
    await status(page, 'Training');
    await go(page, 'try');
    await at(page, 'ask').click();
    await answered(page);
    await go(page, 'train');
    await at(page, 'stop').click();
    await status(page, 'Stopped at step');
  });

  test('the adapter is downloaded', async () => {
    await go(page, 'export');
    const waiting = page.waitForEvent('download');
    await at(page, 'download').click();
    const bytes = await readFile(await (await waiting).path());
    const names = zipEntries(bytes);
    for (const name of ['adapter_config.json', 'adapter_model.safetensors', 'README.md', 'tokenizer.json']) {
      assert.ok(
        names.some((entry) => entry.endsWith(name)),
        `${name} is missing among ${names}`,
      );
    }
    assert.deepEqual(page.thrown, []);
  });
});

describe('training on software WebGPU', () => {
  let browser;
  before(async () => (browser = await startBrowser(SOFTWARE_WEBGPU)));
  after(() => browser.close());

  test('auto takes the processor, because the GPU is emulated', async () => {
    const page = await openPage(browser, server.url);
    assert.match(await at(page, 'device').innerText(), /emulated.*CPU/);
    await page.context().close();
  });

  test('chosen by hand, it trains and answers', { timeout: 600_000 }, async () => {
    const page = await openPage(browser, `${server.url}?device=webgpu`);
    await openTiny(page);
    assert.doesNotMatch(await at(page, 'device').innerText(), /^CPU/);
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await set(page, { 'train.max_steps': 6, 'train.learning_rate': 0.005 });
    await at(page, 'start').click();
    await status(page, 'Finished', 400_000);
    const losses = await page
      .locator('loss-chart')
      .evaluate((element) => element.reports.map((report) => report.loss));
    assert.ok(losses.at(-1) < losses[0], `from ${losses[0]} to ${losses.at(-1)}`);
    await go(page, 'try');
    await page.locator('compare-section details').evaluate((details) => (details.open = true));
    await page.getByLabel('Most tokens').fill('4');
    await page.getByLabel('Prompt', { exact: true }).fill('Where is cat number 7?');
    await at(page, 'ask').click();
    await page
      .locator('article.tuned[aria-busy=false] [data-test="answer-tuned"]')
      .waitFor({ timeout: 200_000 });
    assert.deepEqual(page.thrown, []);
  });
});

/** The tuned answer is whole: its pace stands beside it. */
async function answered(page, timeout = 60_000) {
  await page.locator('article.tuned[aria-busy=false]').filter({ hasText: 'tokens/s' }).waitFor({ timeout });
}
