/** The run table and sweeps: what is kept, what survives, what can be repeated. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
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
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

/** The table as objects by column, newest run first. */
async function table() {
  await go(page, 'runs');
  const rows = await at(page, 'runs').locator('tr').all();
  const cells = await Promise.all(rows.map((row) => row.locator('th, td').allInnerTexts()));
  const [head, ...body] = cells;
  return body.map((row) => Object.fromEntries(row.map((cell, place) => [head[place].trim(), cell.trim()])));
}

async function train() {
  const rows = at(page, 'runs').locator('tr');
  const before = await rows.count();
  await go(page, 'train');
  await at(page, 'start').click();
  await go(page, 'runs');
  // "Finished" is still said of the run before, until this one has begun.
  await rows.nth(before).waitFor();
  await rows.nth(1).filter({ hasText: 'finished' }).waitFor({ timeout: 120_000 });
  await status(page, 'Finished');
  await at(page, 'train-status').filter({ hasNotText: 'Saving' }).waitFor();
}

async function openAgain() {
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
}

/** A reload may come before the last writing otherwise. */
async function stored(count) {
  await page.waitForFunction(async (count) => {
    const root = await navigator.storage.getDirectory();
    const runs = await root.getDirectoryHandle('runs', { create: true });
    let ended = 0;
    for await (const file of runs.values()) {
      const text = await (await file.getFile()).text();
      if (/"state":"(finished|outdone|stopped|failed)"/.test(text)) ended += 1;
    }
    return ended === count;
  }, count);
}

describe('runs', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openAgain();
  });
  after(() => browser.close());

  test('each run is kept, with the settings in which they differ', async () => {
    await go(page, 'runs');
    await at(page, 'no-runs').waitFor();
    await set(page, { 'train.max_steps': 6, 'eval.eval_steps': 3, 'train.learning_rate': 0.001 });
    await train();
    assert.equal((await table()).length, 1);
    await set(page, { 'train.learning_rate': 0.004 });
    await train();
    const [second, first] = await table();
    assert.equal(first['train.learning_rate'], '0.001');
    assert.equal(second['train.learning_rate'], '0.004');
    assert.equal(first['lora.rank'], undefined);
    assert.equal(second.Steps, '6 of 6');
    assert.equal(second.Ended, 'finished');
    assert.ok(Number(second['Validation loss']) < Number(first['Validation loss']));
    await page
      .locator('runs-chart [aria-label^="Loss over steps of run 1 "][aria-label*=" run 2 "] canvas')
      .waitFor();
  });

  test('they survive a reload, beside a file that cannot be read, which stays', async () => {
    const before = await table();
    await stored(2);
    await page.evaluate(async () => {
      const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle('runs');
      for (const [name, text] of [
        ['half.json', '{"version":1,"id":"half","curve":['],
        ['later.json', '{"version":9,"id":"later"}'],
      ]) {
        const stream = await (await runs.getFileHandle(name, { create: true })).createWritable();
        await stream.write(text);
        await stream.close();
      }
    });
    await page.reload();
    await at(page, 'unreadable-runs').filter({ hasText: '2 stored runs cannot be read' }).waitFor();
    assert.deepEqual(await table(), before);
    await at(page, 'discard').click();
    await openAgain();
    await page.reload();
    await go(page, 'runs');
    await at(page, 'unreadable-runs').getByText('later.json').waitFor();
    const halfOne = at(page, 'unreadable-runs').locator('li').filter({ hasText: 'half.json' });
    await halfOne.getByRole('button', { name: 'Delete' }).click();
    await at(page, 'unreadable-runs').filter({ hasText: '1 stored run cannot be read' }).waitFor();
    assert.deepEqual(await table(), before);
  });

  test('a repeated run has its recipe and its losses', async () => {
    await go(page, 'runs');
    await page.getByRole('button', { name: 'Repeat run 1' }).click();
    await at(page, 'runs-said').filter({ hasText: 'open the model' }).waitFor();
    await openAgain();
    await go(page, 'runs');
    await page.getByRole('button', { name: 'Repeat run 1' }).click();
    await at(page, 'runs-said').filter({ hasText: 'with the same model and data' }).waitFor();
    assert.equal(await page.locator('input[name="train.learning_rate"]').inputValue(), '0.001');
    assert.equal(await page.locator('input[name="train.max_steps"]').inputValue(), '6');
    await train();
    const [third, , first] = await table();
    assert.equal(third['Validation loss'], first['Validation loss']);
    assert.equal(third['Training loss'], first['Training loss']);
  });

  test('other data of the same name is noticed', async () => {
    await chooseData(page, 'cats.jsonl', CHATS.replaceAll('roof', 'wall'));
    await at(page, 'report').waitFor();
    await go(page, 'runs');
    await page.getByRole('button', { name: 'Repeat run 1' }).click();
    await at(page, 'runs-said').filter({ hasText: 'the open file is another one' }).waitFor();
  });

  test('a deleted run is gone for good', async () => {
    await stored(3);
    await go(page, 'runs');
    await page.getByRole('button', { name: 'Delete run 2' }).click();
    await page.getByRole('button', { name: 'Delete run 3' }).waitFor({ state: 'detached' });
    await page.reload();
    await at(page, 'runs').waitFor();
    assert.equal((await table()).length, 2);
    await at(page, 'discard').click();
    await openAgain();
  });

  test('a sweep that makes no sense gets one sentence', async () => {
    await go(page, 'runs');
    await at(page, 'sweep').evaluate((details) => (details.open = true));
    const tryOut = async (key, values, words) => {
      await at(page, 'sweep-key').fill(key);
      await at(page, 'sweep-key').press('Tab');
      await at(page, 'sweep-values').fill(values);
      await at(page, 'sweep-values').press('Tab');
      await at(page, 'sweep-estimate').click();
      await at(page, 'sweep-error').filter({ hasText: words }).waitFor();
      assert.ok(await at(page, 'sweep-start').isDisabled());
    };
    await tryOut('optim.learning_rate', '1e-4', 'did you mean "train.learning_rate"?');
    await tryOut('train.learning_rate', '1e-4, fast', 'train.learning_rate is "fast"');
    await tryOut('objective', 'text, sft', 'objective cannot be swept');
  });

  test('successive halving says how long it takes, stops the worse and ends in the table', async () => {
    await set(page, { 'train.max_steps': 8 });
    await go(page, 'runs');
    await at(page, 'sweep-key').fill('train.learning_rate');
    await at(page, 'sweep-key').press('Tab');
    await at(page, 'sweep-values').fill('1e-6, 1e-5, 1e-4, 4e-3');
    await at(page, 'sweep-values').press('Tab');
    await at(page, 'sweep-strategy').selectOption('halving');
    await at(page, 'sweep-estimate').click();
    const expected = /4 runs \(4 to 25 %, then 2 to 50 %, then 1 to 100 % of the steps\): about \d+ s/;
    await at(page, 'sweep-status').filter({ hasText: expected }).waitFor();
    await at(page, 'sweep-start').click();
    await at(page, 'sweep-status')
      .filter({ hasText: /Run \d of 4 \(train.learning_rate/ })
      .waitFor();
    assert.ok(await at(page, 'start').isDisabled());
    await at(page, 'sweep-status').filter({ hasText: 'The sweep is done' }).waitFor({ timeout: 120_000 });
    const swept = (await table()).slice(0, 4);
    const steps = Object.fromEntries(swept.map((run) => [run['train.learning_rate'], run.Steps]));
    assert.deepEqual(steps, {
      0.004: '8 of 8',
      0.0001: '4 of 8',
      0.00001: '2 of 8',
      0.000001: '2 of 8',
    });
    const ended = swept.filter((run) => run.Ended === 'stopped early');
    assert.equal(ended.length, 3);
    assert.ok(await at(page, 'start').isEnabled());
    await stored(6);
    assert.deepEqual(page.thrown, []);
  });

  test('a grid can be stopped', async () => {
    await go(page, 'runs');
    await at(page, 'sweep-strategy').selectOption('grid');
    await at(page, 'sweep-key').fill('train.batch_size');
    await at(page, 'sweep-key').press('Tab');
    await at(page, 'sweep-values').fill('1, 2, 4');
    await at(page, 'sweep-values').press('Tab');
    await set(page, { 'train.max_steps': 400 });
    await go(page, 'runs');
    await at(page, 'sweep-estimate').click();
    await at(page, 'sweep-status').filter({ hasText: '3 runs: about' }).waitFor();
    await at(page, 'sweep-start').click();
    await at(page, 'sweep-status')
      .filter({ hasText: /Run 1 of 3 .*: step \d+ of 400/ })
      .waitFor();
    await at(page, 'sweep-stop').click();
    await at(page, 'sweep-status').filter({ hasText: 'The sweep was stopped.' }).waitFor();
    const [last] = await table();
    assert.equal(last.Ended, 'stopped');
    assert.deepEqual(page.thrown, []);
  });
});
