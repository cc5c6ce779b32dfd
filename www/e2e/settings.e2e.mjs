/** Every setting of the recipe has its field on the page, with a sentence; what is typed reaches the recipe. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { at, chooseData, go, openPage, openTiny, set, startBrowser, startServer } from './setup.mjs';

let server, browser, page;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

/** The recipe as the page shows it. */
async function shown() {
  await go(page, 'train');
  return JSON.parse(await page.getByRole('textbox', { name: 'Recipe as JSON' }).inputValue());
}

/** Dotted keys, sections opened. */
function keys(recipe) {
  return Object.entries(recipe).flatMap(([section, value]) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.keys(value).map((key) => `${section}.${key}`)
      : [section],
  );
}

describe('settings', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await go(page, 'train');
    for (const name of ['more-settings', 'recipe'])
      await at(page, name).evaluate((details) => (details.open = true));
  });
  after(() => browser.close());

  test('each key of the recipe has a field with one sentence', async () => {
    const fields = await page
      .locator('settings-section setting-field')
      .evaluateAll((all) =>
        all.map(({ field }) => ({ path: field.path, label: field.label, help: field.help })),
      );
    const all = keys(await shown());
    assert.ok(all.length > 40, `${all.length} keys`);
    for (const key of all) {
      const field = fields.find(({ path }) => path === key);
      assert.ok(field, `the page has no field for ${key}`);
      assert.match(field.help, /^[A-Z](?:[^.]|\.\d){20,}\.$/, `${key} is not explained in one sentence`);
    }
    assert.equal(fields.length, all.length);
    const labels = new Set(fields.map(({ label }) => label));
    assert.equal(labels.size, fields.length, 'two fields have the same label');
  });

  test('columns are mapped by hand', async () => {
    const rows = ['a', 'b', 'c'].map((word) =>
      JSON.stringify({ asked: `What is ${word}?`, told: `It is ${word}.` }),
    );
    await set(page, { 'data.mapping': 'prompt' });
    await page.getByText('Columns must be written like prompt=question, completion=reply.').waitFor();
    await set(page, { 'data.mapping': 'prompt=asked, completion=told' });
    await chooseData(page, 'rows.jsonl', rows.join('\n'));
    await at(page, 'report').filter({ hasText: '3 rows of prompts and completions' }).waitFor();
    const { data } = await shown();
    assert.deepEqual([data.mapping.prompt, data.mapping.completion], ['asked', 'told']);
    await set(page, { 'data.mapping': 'prompt=question, completion=told' });
    await go(page, 'data');
    await page
      .getByText('the file\u2019s columns are')
      .or(page.getByText("the file's columns are"))
      .first()
      .waitFor();
  });

  test('changes to the rows are made in the order of choice', async () => {
    await set(page, { 'data.mapping': 'prompt=asked, completion=told' });
    for (const fix of ['redact', 'drop_duplicates'])
      await page.getByRole('checkbox', { name: fix, exact: true }).check();
    assert.deepEqual((await shown()).data.fix, ['redact', 'drop_duplicates']);
    await page.getByRole('checkbox', { name: 'redact', exact: true }).uncheck();
    assert.deepEqual((await shown()).data.fix, ['drop_duplicates']);
    assert.deepEqual(page.thrown, []);
  });
});
