/** A model that learns its rows by heart: said in words, and stopped. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { at, chooseData, openPage, openTiny, set, startBrowser, startServer, status } from './setup.mjs';

/** So few rows that a few epochs know them by heart. */
const SAMPLE = new URL('../public/samples/tiny-duck.jsonl', import.meta.url);
const FILE = readFileSync(SAMPLE, 'utf8').split('\n').slice(0, 20).join('\n');

let server, browser, page;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

describe('overfitting', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await chooseData(page, 'ducks.jsonl', FILE);
    await at(page, 'report').waitFor();
  });
  after(() => browser.close());

  const settings = {
    'train.learning_rate': 0.003,
    'train.max_steps': 60,
    'eval.eval_steps': 4,
    'eval.validation_fraction': 0.4,
  };

  test('the page says that the rows are learned by heart', async () => {
    await set(page, settings);
    await at(page, 'start').click();
    await at(page, 'overfitting')
      .filter({ hasText: 'learning these rows by heart' })
      .waitFor({ timeout: 120_000 });
    await status(page, 'Finished');
    assert.doesNotMatch(await at(page, 'train-status').innerText(), /lowest/);
  });

  test('early stopping ends the run and takes back the best adapter', async () => {
    await set(page, { 'eval.early_stopping_patience': 3 });
    await at(page, 'start').click();
    await status(page, 'Stopped early at step');
    const said = await at(page, 'train-status').innerText();
    const [, end, best] = said.match(/at step (\d+)\..* that of step (\d+),/) ?? [];
    assert.ok(Number(end) < 60, said);
    assert.equal(Number(end) - Number(best), 3 * 4, said);
  });

  test('a patience of 0 is explained beside its field', async () => {
    await set(page, { 'eval.early_stopping_patience': 0 });
    await page.getByText('it must be at least 1, or null to switch early stopping off').waitFor();
    assert.deepEqual(page.thrown, []);
  });
});
