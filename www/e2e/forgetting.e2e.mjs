/** Forgetting: measured beside the loss, said in words, and held back. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  at,
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
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

const rise = async () => {
  const found = /\(([+−])([\d.]+)\)/.exec((await tiles(page))['Forgetting probe']);
  assert.ok(found, JSON.stringify(await tiles(page)));
  return Number(found[2]) * (found[1] === '−' ? -1 : 1);
};

describe('forgetting', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await chooseSample(page, 'tiny-duck.jsonl');
    await at(page, 'report').waitFor();
  });
  after(() => browser.close());

  test('a harsh run is said to forget', async () => {
    await set(page, {
      'train.learning_rate': 0.004,
      'train.max_steps': 40,
      'eval.validation_fraction': 0.05,
    });
    await at(page, 'start').click();
    await status(page, 'Finished');
    assert.ok((await rise()) > 0.2);
    assert.match(await at(page, 'forgetting').innerText(), /loss on general text has risen by/);
  });

  test('what helps is one click away, and helps', async () => {
    const before = await rise();
    await at(page, 'forgetting').getByRole('button', { name: 'Hold it to the base' }).click();
    assert.equal(await page.locator('input[name="train.kl_to_base"]').inputValue(), '0.5');
    await at(page, 'start').click();
    await status(page, 'Training');
    await status(page, 'Finished');
    assert.ok((await rise()) < 0.8 * before, `${before} and ${await rise()}`);
  });

  test('a file of the user’s takes the place of the built-in text', async () => {
    const choose = (name, content) =>
      page
        .locator('input[name=probe]')
        .setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
    await choose('bad.jsonl', '{"prompt": "a", "chosen": "b", "rejected": "c"}\n');
    await at(page, 'probe-error').filter({ hasText: 'questions with one answer each' }).waitFor();
    await choose('mine.txt', 'Mia lives in the red house.\n');
    await at(page, 'probe-summary').filter({ hasText: 'mine.txt' }).waitFor();
    await set(page, { 'train.max_steps': 1 });
    await at(page, 'start').click();
    await page.getByText('Forgetting is measured by mine.txt').waitFor();
    await status(page, 'Finished');
    await at(page, 'probe-close').click();
    await at(page, 'probe-summary').filter({ hasText: 'built-in text is used' }).waitFor();
    assert.deepEqual(page.thrown, []);
  });
});
