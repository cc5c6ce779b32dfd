/** Bad input, settings, and the page for everyone. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  CHATS,
  VIEWS,
  at,
  chooseData,
  chooseModel,
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
    page = await openPage(browser, `${server.url}?device=cpu`);
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser.close();
  server.stop();
});

/** One sentence: one full stop at its end and no line break. */
const isSentence = (text) => /^[^\n]+[.!?]$/.test(text.trim());

/** The kind and the key of an error that the page shows. */
const saysWhat = (page, name) => at(page, name).evaluate(({ dataset }) => [dataset.kind, dataset.key]);

test('data before a model is answered with a sentence, and read once there is one', async () => {
  await chooseData(page, 'first.jsonl', CHATS);
  assert.deepEqual(await saysWhat(page, 'data-error'), ['not_ready', 'model']);
  assert.ok(isSentence(await at(page, 'data-error').innerText()));
  await at(page, 'to-model').click();
  await at(page, 'model-tiny').click();
  await at(page, 'model-facts').waitFor();
  await go(page, 'data');
  await at(page, 'report').filter({ hasText: 'first.jsonl holds 24 rows' }).waitFor();
  assert.equal(await at(page, 'data-error').count(), 0);
});

const BAD_MODELS = [
  ['corrupt.gguf', Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), randomBytes(2000)])],
  ['text.gguf', 'this is not a model'],
  ['empty.gguf', ''],
  ['config.json', '{"model_type": "nothing"}'],
  ['picture.png', randomBytes(100)],
];
for (const [name, content] of BAD_MODELS) {
  test(`a bad model (${name}) gets one sentence and the page goes on`, async () => {
    await openTiny(page);
    await chooseModel(page, name, content);
    const error = await at(page, 'model-error').innerText();
    assert.ok(isSentence(error), error);
    assert.match(await at(page, 'model-facts').innerText(), /tiny/i, 'the model before is gone');
  });
}

const BAD_DATA = [
  ['empty.jsonl', ''],
  ['binary.jsonl', randomBytes(4000)],
  ['broken.jsonl', '{"text": "one"}\n{"text": "two"\n{"text": "three"}\n'],
  ['mixed.jsonl', '{"text": "one"}\n{"prompt": "a", "completion": "b"}\n'],
  ['columns.csv', 'a,b\n1,2\n'],
  ['sheet.xlsx', randomBytes(200)],
];
for (const [name, content] of BAD_DATA) {
  test(`bad data (${name}) gets one sentence and the page goes on`, async () => {
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await chooseData(page, name, content);
    await page.locator(`[data-test="data-error"][data-key="${name}"]`).waitFor();
    const [kind] = await saysWhat(page, 'data-error');
    assert.match(kind, /^invalid_data(_line)?$/);
    const error = await at(page, 'data-error').innerText();
    assert.ok(isSentence(error), error);
    assert.match(await at(page, 'report').innerText(), /cats\.jsonl holds 24 rows/);
  });
}

test('a wrong setting is said beside its field and keeps the run from starting', async () => {
  await chooseData(page, 'cats.jsonl', CHATS);
  await set(page, { 'lora.rank': 0 });
  const field = page.locator('setting-field').filter({ hasText: 'Rank' }).first();
  await field.getByText('lora.rank is 0', { exact: false }).waitFor();
  assert.ok(await at(page, 'start').isDisabled());
  await set(page, { 'lora.rank': 4, 'train.learning_rate': 'fast' });
  await page.getByText('Learning rate must be a number').waitFor();
  await set(page, { 'train.learning_rate': 0.001 });
  await status(page, 'Ready');
});

test('a recipe is taken as JSON, and a wrong one refused with its key', async () => {
  await page.locator('[data-test="recipe"]').evaluate((details) => (details.open = true));
  const json = page.getByLabel('Recipe as JSON', { exact: true });
  await json.fill('{ "train": { "learning_rat": 1 } }');
  await at(page, 'apply-recipe').click();
  await at(page, 'recipe-error').waitFor();
  assert.deepEqual(await saysWhat(page, 'recipe-error'), ['unknown_key', 'train.learning_rat']);
  await json.fill('{ "train": { "max_steps": 2, "max_seq_length": 64 }, "device": "cpu" }');
  await at(page, 'apply-recipe').click();
  await page.getByText('In use.').waitFor();
  assert.equal(await page.locator('input[name="train.max_steps"]').inputValue(), '2');
});

test('and after all that it trains', async () => {
  await go(page, 'train');
  await at(page, 'start').click();
  await status(page, 'Finished');
  assert.deepEqual(page.thrown, []);
});

test('a bad model after a run leaves the run as it was', async () => {
  await chooseModel(page, 'corrupt.gguf', 'nothing of the kind');
  await at(page, 'model-error').waitFor();
  await status(page, 'Finished');
  assert.ok(await at(page, 'download').isEnabled());
});

test('every control has a name', async () => {
  const unnamed = await page.evaluate(() => {
    const found = [];
    const visit = (root) => {
      for (const element of root.querySelectorAll('*')) {
        if (element.shadowRoot) visit(element.shadowRoot);
        if (!/^(INPUT|SELECT|TEXTAREA|BUTTON)$/.test(element.tagName)) continue;
        const named =
          element.getAttribute('aria-label') ||
          element.textContent?.trim() ||
          [...(element.labels ?? [])].length > 0;
        if (!named) found.push(element.outerHTML.slice(0, 120));
      }
    };
    visit(document);
    return found;
  });
  assert.deepEqual(unnamed, []);
});

test('it fits a phone, light and dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const phone = await openPage(browser, server.url, { viewport: { width: 360, height: 740 }, colorScheme });
    for (const view of VIEWS) {
      await go(phone, view);
      const wider = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.equal(wider, 0, view);
    }
    await phone.context().close();
  }
});

test('the theme toggle goes round and is remembered', async () => {
  const other = await openPage(browser, server.url);
  await other.getByRole('button', { name: 'Colour theme: auto' }).click();
  await other.getByRole('button', { name: 'Colour theme: light' }).click();
  await other.reload();
  await other.getByRole('button', { name: 'Colour theme: dark' }).waitFor();
  assert.equal(await other.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await other.context().close();
});

test('a worker that never loads is replaced', async () => {
  const context = await browser.newContext();
  const other = await context.newPage();
  await other.addInitScript(() => {
    const { Worker } = window;
    // The first worker of the page, in whichever frame, is one that says nothing.
    window.Worker = function (url, options) {
      window.top.workersMade = (window.top.workersMade ?? 0) + 1;
      const silent = URL.createObjectURL(new Blob([''], { type: 'text/javascript' }));
      return new Worker(window.top.workersMade === 1 ? silent : url, options);
    };
  });
  await other.goto(`${server.url}?device=cpu`);
  await openTiny(other);
  assert.ok((await other.evaluate(() => window.workersMade)) > 1);
  await context.close();
});
