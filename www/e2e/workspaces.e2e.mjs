/** Two workspaces on one page: each trains its own model in a worker of its own, and they keep out of each other's way. */
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

const STEPS = 40;
const SIDES = {
  left: { rows: CHATS, settings: { 'lora.rank': 4, 'train.learning_rate': 0.005 } },
  right: {
    rows: CHATS.replaceAll('sleeps on the roof', 'hides in the barn'),
    settings: { 'lora.rank': 8, 'train.learning_rate': 0.002 },
  },
};

let server, browser;
before(
  async () => {
    server = await startServer();
    browser = await startBrowser();
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser?.close();
  server?.stop();
});

/** The page, and its two workspaces. */
async function open(query = '') {
  const page = await openPage(browser, `${server.url}two-workspaces.html${query}`);
  return { page, left: page.locator('loralet-app.left'), right: page.locator('loralet-app.right') };
}

async function ready(place, { rows, settings }, steps = STEPS) {
  await openTiny(place);
  await chooseData(place, 'rows.jsonl', rows);
  await at(place, 'report').waitFor();
  await set(place, { ...settings, 'train.max_steps': steps, 'eval.eval_steps': 10 });
}

/** What a run reported of each of its steps. */
function losses(place) {
  const read = ({ reports }) =>
    reports.map(({ step, loss, evaluation }) => [step, loss, evaluation?.loss ?? null]);
  return place.locator('loss-chart').evaluate(read);
}

/** The losses of such a run on the page, where nothing else trains. */
async function alone(side) {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await ready(page, side);
  await at(page, 'start').click();
  await status(page, 'Finished');
  const found = await losses(page);
  await page.context().close();
  return found;
}

/** The names of the folders in a folder of the page's storage. */
function folders(page, ...path) {
  return page.evaluate(async (path) => {
    let place = await navigator.storage.getDirectory();
    for (const name of path) place = await place.getDirectoryHandle(name);
    const names = [];
    for await (const name of place.keys()) names.push(name);
    return names.sort();
  }, path);
}

test('two models are trained at once, each as if it were alone', { timeout: 180_000 }, async () => {
  const expected = { left: await alone(SIDES.left), right: await alone(SIDES.right) };
  assert.equal(expected.left.length, STEPS);
  assert.notDeepEqual(expected.left, expected.right);

  const { page, left, right } = await open();
  await ready(left, SIDES.left);
  await ready(right, SIDES.right);
  await page.evaluate(() => {
    // At each step: how far both are.
    window.progress = [];
    const { left, right } = window.workspaces;
    for (const { training } of [left, right])
      training.subscribe(() =>
        window.progress.push([left, right].map((one) => one.training.last?.step ?? 0)),
      );
  });
  await at(left, 'start').click();
  await at(right, 'start').click();
  await status(left, 'Finished');
  await status(right, 'Finished');
  assert.deepEqual({ left: await losses(left), right: await losses(right) }, expected);

  const progress = await page.evaluate(() => window.progress);
  const both = progress.filter((steps) => steps.every((step) => step > 0 && step < STEPS));
  assert.ok(both.length > 5, `they did not train at once: ${JSON.stringify(progress)}`);

  // Each has its own run, in its own storage.
  await go(left, 'runs');
  await at(left, 'runs').waitFor();
  for (const [name, place] of [
    ['left', left],
    ['right', right],
  ]) {
    assert.equal(await at(place, 'runs').locator('tbody tr').count(), 1);
    assert.equal((await folders(page, 'loralet', 'workspaces', name, 'run')).length, 1);
  }
  assert.deepEqual(await folders(page), ['loralet']);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('an answer of one is not the other’s, and one can be closed', { timeout: 180_000 }, async () => {
  const { page, left, right } = await open();
  await ready(left, SIDES.left, 30);
  await ready(right, SIDES.right, 30);
  for (const place of [left, right]) {
    await at(place, 'start').click();
    await status(place, 'Finished');
  }
  await page.evaluate(() => window.workspaces.left.close());
  await go(right, 'try');
  await right.getByLabel('Prompt', { exact: true }).fill('Where is cat number 7?');
  await at(right, 'ask').click();
  await right.locator('article.tuned[aria-busy=false]').filter({ hasText: 'tokens/s' }).waitFor();
  assert.match(await at(right, 'answer-tuned').innerText(), /barn/);
  assert.equal(await at(left, 'answer-tuned').count(), 0);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('of two with one storage only one goes on with a run', { timeout: 180_000 }, async () => {
  const { page, left, right } = await open('?storage=shared');
  await ready(left, SIDES.left, 12);
  await at(left, 'step').click();
  await status(left, 'Paused at step 1; a checkpoint is kept.');
  await page.reload();
  await at(left, 'resume').waitFor();
  await at(right, 'resume').waitFor();
  await at(left, 'resume').click();
  await status(left, 'Paused at step 1');
  await at(right, 'resume').click();
  await right.locator('[data-test="resume-error"][data-kind="in_use"]').waitFor();
  await at(right, 'discard').click();
  await right.getByRole('region', { name: 'Earlier run' }).getByText('Another tab has a run open.').waitFor();
  await page.evaluate(() => window.workspaces.left.close());
  await at(right, 'resume').click();
  await status(right, 'Paused at step 1');
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});
