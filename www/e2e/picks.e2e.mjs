/** RLHF by hand: a person's picks on the page become a DPO run. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { at, go, openPage, openTiny, set, startBrowser, startServer, status, tiles } from './setup.mjs';

const PROMPTS = ['Where does Mia live?', 'Who is Pip?', 'What does Bruno like to eat?', 'Who is Ben?'];

let server, browser, page;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

describe('picks', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
  });
  after(() => browser.close());

  test('two different answers are shown, and a verdict is counted', async () => {
    await ask(PROMPTS[0]);
    assert.notEqual(await at(page, 'answer-first').innerText(), await at(page, 'answer-second').innerText());
    await at(page, 'pick-both_good').click();
    await count('1 pick: 0 with a better answer, 2 rated answers');
    assert.ok(await at(page, 'train-dpo').isDisabled());
  });

  test('the last pick is taken back, a pair is skipped', async () => {
    await at(page, 'undo-pick').click();
    await at(page, 'answer-first').waitFor();
    assert.equal(await at(page, 'picks-count').count(), 0);
    await at(page, 'pick-skip').click();
    assert.equal(await at(page, 'answer-first').count(), 0);
  });

  test('picks survive a reload and are downloaded as TRL reads them', async () => {
    // Whoever picks likes short answers.
    for (let round = 0; round < 12; round += 1) {
      await ask(PROMPTS[round % PROMPTS.length]);
      const lengths = [];
      for (const side of ['first', 'second'])
        lengths.push((await at(page, `answer-${side}`).innerText()).length);
      await at(page, lengths[0] <= lengths[1] ? 'pick-first' : 'pick-second').click();
    }
    await count('12 picks: 12 with a better answer, 24 rated answers');
    // The file is written behind the page; closing the tab within that moment would lose the last pick.
    await page.waitForTimeout(1000);
    await page.reload();
    await openTiny(page);
    await go(page, 'try');
    await count('12 picks: 12 with a better answer, 24 rated answers');
    const rows = await downloaded('download-picks');
    assert.equal(rows.length, 12);
    for (const row of rows) {
      assert.deepEqual(Object.keys(row), ['prompt', 'chosen', 'rejected']);
      assert.ok(
        PROMPTS.includes(row.prompt) && row.chosen.length <= row.rejected.length,
        JSON.stringify(row),
      );
    }
    const ratings = await downloaded('download-ratings');
    assert.equal(ratings.length, 24);
    assert.equal(ratings.filter((row) => row.label).length, 12);
    assert.deepEqual(Object.keys(ratings[0]), ['prompt', 'completion', 'label']);
  });

  test('trained on by DPO, the margin of chosen over rejected rises', async () => {
    await at(page, 'train-dpo').click();
    await at(page, 'report').filter({ hasText: '12 rows of' }).waitFor();
    assert.equal(await at(page, 'objective').locator('select').first().inputValue(), 'dpo');
    await set(page, {
      'train.learning_rate': 0.001,
      'train.max_steps': 12,
      'train.epochs': 12,
      'train.batch_size': 4,
      'eval.validation_fraction': 0,
    });
    await at(page, 'step').click();
    await status(page, 'Paused at step 1');
    assert.equal(Number.parseFloat((await tiles(page))['Training reward margin']), 0);
    await at(page, 'continue').click();
    await status(page, 'Finished', 240_000);
    const shown = await tiles(page);
    assert.ok(Number.parseFloat(shown['Training reward margin']) > 0.05, JSON.stringify(shown));
    assert.deepEqual(page.thrown, []);
  });

  test('a picks file that cannot be read is set aside, not overwritten', async () => {
    await page.evaluate(async () => {
      const place = await (await navigator.storage.getDirectory()).getDirectoryHandle('picks');
      for await (const handle of place.values()) {
        const stream = await handle.createWritable();
        await stream.write('{ "version": 9, "picks": "later" }');
        await stream.close();
      }
    });
    await page.reload();
    await openTiny(page);
    // They are read once the model is open.
    await page.waitForFunction(async () => {
      const place = await (await navigator.storage.getDirectory()).getDirectoryHandle('picks');
      for await (const name of place.keys()) if (name.endsWith('.unreadable')) return true;
      return false;
    });
  });
});

async function ask(prompt) {
  await go(page, 'try');
  await page.locator('#pick-prompt').fill(prompt);
  // `tiny` is sure of itself: at 1 it often says the same twice.
  await page.locator('#pick-temperature').fill('1.6');
  await at(page, 'two-answers').click();
  await at(page, 'answer-second').waitFor();
}

async function count(words) {
  await at(page, 'picks-count').filter({ hasText: words }).waitFor();
}

async function downloaded(button) {
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, button).click()]);
  const text = await readFile(await download.path(), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
