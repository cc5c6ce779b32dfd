/** Models that judge: a classifier and a reward model, from a sample to an answer. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
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
} from './setup.mjs';

let server, browser, page;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server.stop());

describe('judging texts', () => {
  before(async () => {
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
  });
  after(() => browser.close());

  test('the sample of moods shows its labels and is to be classified', async () => {
    await chooseSample(page, 'tiny-moods.jsonl');
    const report = await at(page, 'report').innerText();
    assert.match(report, /280 rows of labelled texts: [\d,]+ tokens, in 4 classes/);
    assert.match(report, /Labels: happy \(87\), sad \(67\), afraid \(65\), hungry \(61\)/);
    assert.equal(await at(page, 'preview').locator('[data-test=label]').first().innerText(), 'happy');
    const chosen = at(page, 'objective').locator('select');
    assert.equal(await chosen.inputValue(), 'classify');
    assert.deepEqual(await chosen.locator('option').evaluateAll((all) => all.map((option) => option.value)), [
      'text',
      'classify',
    ]);
  });

  test('accuracy rises above the most frequent label', async () => {
    await go(page, 'train');
    await at(page, 'start').click();
    await status(page, 'Finished');
    const shown = await tiles(page);
    assert.ok(Number.parseFloat(shown['Validation accuracy']) > 70, JSON.stringify(shown));
    assert.notEqual(shown['Training accuracy'], undefined);
    const cells = await at(page, 'confusion').locator('tbody td').allInnerTexts();
    assert.equal(cells.length, 16);
    assert.equal(
      cells.map(Number).reduce((sum, texts) => sum + texts),
      70,
    );
    const diagonal = [0, 5, 10, 15].map((place) => Number(cells[place]));
    assert.ok(diagonal.reduce((sum, texts) => sum + texts) > 49, String(cells));
  });

  test('base and tuned say how likely each label is', async () => {
    await go(page, 'try');
    await page.getByLabel('Text', { exact: true }).fill('Mia lost her red kite and could not find it.');
    await at(page, 'ask').click();
    await at(page, 'answer-tuned').waitFor();
    assert.equal((await at(page, 'answer-tuned').innerText()).trim(), 'sad');
    for (const side of ['labels-base', 'labels-tuned']) {
      const shares = (await at(page, side).locator('dd').allInnerTexts()).filter((text) =>
        text.includes('%'),
      );
      assert.equal(shares.length, 4);
      assert.ok(
        Math.abs(shares.map(Number.parseFloat).reduce((sum, share) => sum + share) - 100) < 1,
        shares,
      );
    }
    assert.match(
      await page.locator('download-section pre').innerText(),
      /AutoModelForSequenceClassification/,
    );
  });

  test('one class, or a label that is missing, is explained', async () => {
    await chooseData(page, 'one.csv', 'text,label\nThe sun shines.,warm\nIt is hot.,warm\n');
    await at(page, 'data-error').filter({ hasText: 'only the label "warm"' }).waitFor();
    await chooseData(page, 'gap.csv', 'text,label\nThe sun shines.,warm\nIt snows.,\n');
    await at(page, 'data-error').filter({ hasText: 'gap.csv, line 3: has an empty label' }).waitFor();
  });

  test('preference pairs can train a reward model, which judges an answer', async () => {
    await chooseSample(page, 'tiny-kindness.jsonl');
    await at(page, 'objective').locator('select').selectOption('reward');
    await set(page, { 'train.max_steps': 24, 'eval.eval_steps': 8 });
    await at(page, 'start').click();
    await status(page, 'Finished');
    const shown = await tiles(page);
    assert.ok(Number.parseFloat(shown['Validation pairs ranked right']) > 90, JSON.stringify(shown));
    await go(page, 'try');
    await page.getByLabel('Prompt', { exact: true }).fill('Who is Pip?');
    const reward = async (answer) => {
      await page.getByLabel('Answer to judge').fill(answer);
      await at(page, 'ask').click();
      await page.locator('article.tuned[aria-busy=false] [data-test="answer-tuned"]').waitFor();
      return Number(await at(page, 'answer-tuned').innerText());
    };
    const kind = await reward('Thank you for asking! Pip is a cat.');
    const rude = await reward('Go away! Pip is a cat.');
    assert.ok(kind > rude + 1, `${kind} ${rude}`);
    assert.deepEqual(page.thrown, []);
  });
});
