/** What spoils a data file: found, opened, mended by a click. And a lesson in overfitting. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  at,
  chooseData,
  chooseSample,
  go,
  openPage,
  openTiny,
  startBrowser,
  startServer,
  status,
} from './setup.mjs';

const STORY =
  'Every evening Tom walked from the mill to the bakery and bought a warm loaf of bread for his dog Bruno and himself';
const row = (user, assistant) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ],
  });
const FILE = [
  row('Tell me a story.', STORY),
  ...Array.from({ length: 30 }, (_, index) =>
    row(`What is number ${index}?`, `It is the number ${index}, as you see.`),
  ),
  row('Tell me a story.', STORY.replace('a warm loaf', 'one warm loaf')),
  row('How can I reach Mia?', 'Write to mia@fernbrook.example.org and wait.'),
  row('Why?', 'A paste gone wrong. '.repeat(150)),
].join('\n');

let server, browser, page;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

describe('curation', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await chooseData(page, 'odd.jsonl', FILE);
    await at(page, 'report').waitFor();
  });
  after(() => browser.close());

  test('findings say what is wrong and open their rows', async () => {
    const near = at(page, 'finding-near_duplicates');
    assert.match(await near.locator('summary').innerText(), /1 row is nearly the same as an earlier one/);
    await near.locator('summary').click();
    assert.match(await near.innerText(), /Line 32, \d+ % like line 1: Tell me a story/);
    const personal = at(page, 'finding-personal_data');
    assert.match(await personal.locator('summary').innerText(), /1 row holds .*: 1 e-mail address/);
    await at(page, 'finding-length_outliers').waitFor();
  });

  test('a click mends, another one undoes it', async () => {
    await at(page, 'fix-redact').click();
    assert.match(await at(page, 'change-redact').innerText(), /Redact: 1 row changed \(line 33\)/);
    assert.equal(await at(page, 'finding-personal_data').count(), 0);
    await at(page, 'fix-drop_near_duplicates').click();
    await at(page, 'change-drop_near_duplicates').waitFor();
    assert.match(await at(page, 'report').innerText(), /odd\.jsonl holds 33 rows/);
    await at(page, 'change-drop_near_duplicates').getByRole('button', { name: 'Undo' }).click();
    await at(page, 'finding-near_duplicates').waitFor();
    assert.match(await at(page, 'report').innerText(), /odd\.jsonl holds 34 rows/);
  });

  test('another file begins without fixes', async () => {
    await chooseData(
      page,
      'other.jsonl',
      row('Who?', 'Write to tom@fernbrook.example.org.') + '\n' + row('a', 'b'),
    );
    await at(page, 'finding-personal_data').waitFor();
    assert.equal(await at(page, 'change-redact').count(), 0);
  });

  test('one click makes it overfit, and one goes back', async () => {
    await chooseSample(page, 'tiny-duck.jsonl');
    await page.getByText('tiny-duck.jsonl holds 300 rows').waitFor();
    await go(page, 'train');
    await at(page, 'overfit').click();
    await go(page, 'data');
    await page.getByText('tiny-duck.jsonl holds 24 rows').waitFor();
    await go(page, 'train');
    await at(page, 'start').click();
    await at(page, 'overfitting')
      .filter({ hasText: 'learning these rows by heart' })
      .waitFor({ timeout: 120_000 });
    await status(page, 'Finished');
    await at(page, 'overfit-undo').click();
    await go(page, 'data');
    await page.getByText('tiny-duck.jsonl holds 300 rows').waitFor();
    assert.equal(await page.locator('input[name="lora.rank"]').inputValue(), '16');
    assert.deepEqual(page.thrown, []);
  });
});
