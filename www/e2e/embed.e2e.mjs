/** An encoder: MiniLM learns what dockers mean, and finds it; then it learns to label texts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  at,
  chooseData,
  chooseSample,
  go,
  openPage,
  set,
  startBrowser,
  startServer,
  status,
  tiles,
} from './setup.mjs';

let server, browser, page;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

describe('embeddings of texts', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await go(page, 'model');
    await at(page, 'model-minilm').click();
    await at(page, 'model-facts').waitFor({ timeout: 300_000 });
  });
  after(() => browser.close());

  test('the sample is to be compared, and its parts are named', async () => {
    await chooseSample(page, 'harbour-slang.jsonl');
    const report = await at(page, 'report').innerText();
    assert.match(report, /280 rows of pairs of texts: [\d,]+ tokens, in texts that are compared as wholes/);
    const labels = await at(page, 'preview').locator('[data-test=label]').allInnerTexts();
    assert.deepEqual(labels.slice(0, 2), ['anchor', 'positive']);
    await go(page, 'train');
    await at(page, 'more-settings').locator('summary').click();
    assert.equal(await page.locator('select[name=objective]').inputValue(), 'contrastive');
    const modules = page.locator('setting-field').filter({ hasText: 'Target modules' });
    assert.equal(await modules.locator('input:checked').count(), 6);
    const names = await modules.locator('.modules label').allInnerTexts();
    assert.equal(names[3]?.trim(), 'attention.output.dense');
  });

  test('a setting that makes no sense is explained where it stands', async () => {
    await set(page, { 'contrastive.scale': 0 });
    await page.getByText('0, but it must be a number above 0').waitFor();
    await set(page, { 'contrastive.scale': 20 });
  });

  test('held-out sayings find their meaning after training', async () => {
    await at(page, 'start').click();
    await status(page, 'Finished', 240_000);
    const shown = await tiles(page);
    assert.ok(Number.parseFloat(shown['Recall@1']) > 60, JSON.stringify(shown));
    assert.ok(Number.parseFloat(shown['Recall@5']) > 90, JSON.stringify(shown));
    assert.equal(shown['Forgetting probe'], undefined);
  });

  test('a search shows the nearest texts of base and tuned', async () => {
    await go(page, 'try');
    await page.getByRole('textbox', { name: 'Query' }).fill('Beware, the whale\u2019s ear owes the baker!');
    await at(page, 'search').click();
    await at(page, 'found-tuned').waitFor({ timeout: 120_000 });
    const nearest = (side) => at(page, `found-${side}`).locator('li').allInnerTexts();
    assert.equal((await nearest('base')).length, 5);
    assert.match((await nearest('tuned'))[0], /sonar has not been paid for/);
    assert.match(await page.locator('download-section pre').innerText(), /SentenceTransformer/);
  });

  test('it learns to label texts, and says how to open the result', async () => {
    await chooseSample(page, 'tiny-moods.jsonl');
    await at(page, 'report').filter({ hasText: '280 rows of labelled texts' }).waitFor();
    assert.equal(await at(page, 'objective').locator('select').inputValue(), 'classify');
    await set(page, { 'train.max_steps': 14, 'eval.eval_steps': 14 });
    await at(page, 'start').click();
    await status(page, 'Finished', 240_000);
    const shown = await tiles(page);
    assert.ok(Number.parseFloat(shown['Validation accuracy']) > 60, JSON.stringify(shown));
    await go(page, 'try');
    await page.getByLabel('Text', { exact: true }).fill('Mia lost her red kite and could not find it.');
    await at(page, 'ask').click();
    await at(page, 'answer-tuned').filter({ hasText: /\S/ }).waitFor();
    assert.equal((await at(page, 'answer-tuned').innerText()).trim(), 'sad');
    assert.equal(await at(page, 'labels-base').locator('dt').count(), 4);
    assert.match(await page.locator('download-section pre').innerText(), /score\.safetensors/);
    assert.deepEqual(page.thrown, []);
  });

  test('an encoder learns from no chats, and says so', async () => {
    await chooseData(
      page,
      'chat.jsonl',
      '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n',
    );
    await at(page, 'report').filter({ hasText: 'chat.jsonl' }).waitFor();
    await go(page, 'train');
    await at(page, 'start').click();
    await at(page, 'train-error').filter({ hasText: 'an encoder, which writes no text' }).waitFor();
    assert.deepEqual(page.thrown, []);
  });
});
