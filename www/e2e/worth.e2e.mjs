/** Is it worth it? As a person measures it: before a run, after it, stopped, and beside a run, where it waits. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
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

let server, browser;
before(
  async () => {
    server = await startServer();
    browser = await startBrowser();
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser.close();
  server.stop();
});

/** The cells of a row of the table, by their columns. */
async function row(page, way) {
  const cells = await at(page, `worth-${way}`)
    .locator('td')
    .evaluateAll((all) => all.map((cell) => [cell.dataset.label, cell.textContent.trim()]));
  return Object.fromEntries(cells);
}

const share = (text) => Number(text.replace(' %', ''));

test('a fact that was trained is worth it, and the table says so', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, {
    'train.max_steps': 16,
    'train.learning_rate': 0.005,
    'eval.validation_fraction': 0.4,
  });
  await go(page, 'try');
  await page.getByLabel('Most rows to ask').fill('6');
  await at(page, 'worth-measure').click();
  await at(page, 'worth-sentence').filter({ hasText: 'nothing is trained yet' }).waitFor();
  assert.equal(await at(page, 'worth-tuned').count(), 0);

  await set(page, {});
  await at(page, 'start').click();
  await status(page, 'Finished');
  await go(page, 'try');
  await at(page, 'worth-measure').click();
  await at(page, 'worth-tuned').waitFor();
  const [base, examples, tuned] = [
    await row(page, 'base'),
    await row(page, 'examples'),
    await row(page, 'tuned'),
  ];
  const WORDS = 'Words as in the row';
  assert.ok(share(tuned[WORDS]) >= share(base[WORDS]) + 30, JSON.stringify([base, tuned]));
  assert.ok(Number(tuned['Loss per answer token']) < Number(base['Loss per answer token']));
  assert.ok(Number(examples['Prompt tokens']) > 2 * Number(base['Prompt tokens']));
  assert.equal(tuned['Prompt tokens'], base['Prompt tokens']);
  const said = await at(page, 'worth-sentence').textContent();
  assert.match(
    said,
    /^On 6 held-out rows the tuned model .* a prompt with 4 examples gets .* times the prompt tokens/,
  );
  // It is read out.
  await page.locator('worth-panel [role=status]').filter({ hasText: said }).waitFor({ state: 'attached' });
  assert.match(
    await page.locator('worth-panel caption').innerText(),
    /6 held-out rows of 10, none of which was trained/,
  );
  await at(page, 'worth-answers').locator('summary').click();
  assert.equal(await page.locator('worth-panel .asked').count(), 6);

  // Stopped, it keeps what is done, and a run that goes on is not disturbed.
  await page.getByLabel('Most rows to ask').fill('10');
  // Answers of `tiny` are faster than a press from here.
  await page.locator('worth-panel').evaluate(({ shadowRoot: root }) => {
    const part = (name) => root.querySelector(`[data-test=worth-${name}]`);
    const look = () => /Answer ([4-9]|\d\d) of/.test(part('status').textContent) && part('stop').click();
    new MutationObserver(look).observe(root, { subtree: true, childList: true, characterData: true });
  });
  await at(page, 'worth-measure').click();
  await at(page, 'worth-notes').filter({ hasText: 'Stopped: these are the rows' }).waitFor();
  await set(page, { 'train.max_steps': 4000 });
  await at(page, 'start').click();
  await status(page, 'Training: step');
  await go(page, 'try');
  assert.ok(await at(page, 'worth-measure').isDisabled());
  await at(page, 'worth-status').filter({ hasText: 'Pause or stop the run first' }).waitFor();
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});
