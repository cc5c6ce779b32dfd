/** Two tabs of the page in one browser: neither writes what the other has open, and the second says so. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import {
  CHATS,
  at,
  chooseData,
  fillHub,
  go,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
} from './setup.mjs';

let server, browser, first;
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
beforeEach(async () => (first = await openPage(browser, `${server.url}?device=cpu`)));
afterEach(() => first.context().close());

async function anotherTab() {
  const page = await first.context().newPage();
  page.setDefaultTimeout(60_000);
  page.thrown = [];
  page.on('pageerror', (error) => page.thrown.push(error.message));
  await page.goto(`${server.url}?device=cpu`);
  await go(page, 'model');
  await at(page, 'model-tiny').waitFor();
  return page;
}

/** A run that waits after some steps, whose checkpoint is kept. */
async function pausesAfter(page, steps) {
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': 12 });
  for (let step = 1; step <= steps; step += 1) {
    await at(page, 'step').click();
    await status(page, `Paused at step ${step}; a checkpoint is kept.`);
  }
}

const banner = (page) => page.getByRole('region', { name: 'Earlier run' });

test('a run that another tab has open is left to it, until that tab is closed', async () => {
  await pausesAfter(first, 2);
  const second = await anotherTab();
  await banner(second).getByText('Another tab has a run open.').waitFor();
  assert.equal(await at(second, 'resume').count(), 0);
  assert.equal(await at(second, 'discard').count(), 0);
  await first.close();
  await banner(second).getByText('A run stopped at step 2 of 12.').waitFor();
  await at(second, 'resume').click();
  await status(second, 'Paused at step 2');
  assert.deepEqual(second.thrown, []);
});

test('two tabs that offer the same run do not both go on with it', async () => {
  await pausesAfter(first, 1);
  await first.reload();
  await at(first, 'resume').waitFor();
  const second = await anotherTab();
  await at(second, 'resume').waitFor();
  await at(first, 'resume').click();
  await status(first, 'Paused at step 1');
  await at(second, 'resume').click();
  await banner(second)
    .or(second.getByRole('alert'))
    .filter({ hasText: 'Another tab of this page has this run open; go on there' })
    .first()
    .waitFor();
  await at(second, 'discard').click();
  await banner(second).getByText('Another tab has a run open.').waitFor();
  assert.deepEqual([...first.thrown, ...second.thrown], []);
});

test('each tab keeps a run of its own', async () => {
  await pausesAfter(first, 2);
  const second = await anotherTab();
  await pausesAfter(second, 3);
  await second.close();
  await first.reload();
  await banner(first).getByText('A run stopped at step 3 of 12.').waitFor();
  await at(first, 'discard').click();
  await banner(first).getByText('A run stopped at step 2 of 12.').waitFor();
  await at(first, 'discard').click();
  await banner(first).waitFor({ state: 'detached' });
});

test('a kept run that cannot be read stays until a person deletes it', async () => {
  await pausesAfter(first, 1);
  await first.evaluate(async () => {
    const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle('run');
    for await (const run of runs.values()) {
      const stream = await (await run.getFileHandle('run.json')).createWritable();
      await stream.write('{"step": 1, "rep');
      await stream.close();
    }
  });
  await first.reload();
  const spoilt = first.getByRole('region', { name: 'A run that cannot be read' });
  await spoilt.waitFor();
  await pausesAfter(first, 1);
  await first.reload();
  await banner(first).waitFor();
  await spoilt.getByRole('button', { name: 'Delete' }).click();
  await spoilt.waitFor({ state: 'detached' });
  await banner(first).waitFor();
});

test('two tabs that pick answers of the same model both keep their picks', async () => {
  const second = await anotherTab();
  for (const page of [first, second]) await openTiny(page);
  for (const [picks, page] of [first, second].entries()) {
    await go(page, 'try');
    await page.locator('#pick-prompt').fill('Where does Mia live?');
    await page.locator('#pick-temperature').fill('1.6');
    await at(page, 'two-answers').click();
    await at(page, 'answer-second').waitFor();
    await at(page, 'pick-both_good').click();
    await at(page, 'picks-count')
      .filter({ hasText: picks === 0 ? '1 pick:' : '2 picks:' })
      .waitFor();
  }
  assert.deepEqual([...first.thrown, ...second.thrown], []);
});

test('a model that another tab is downloading is left to it', async () => {
  const network = await first.context().newCDPSession(first);
  await network.send('Network.enable');
  const slow = { offline: false, latency: 0, downloadThroughput: 10_000, uploadThroughput: -1 };
  await network.send('Network.emulateNetworkConditions', slow);
  await fillHub(first, server.url, 'loralet/tiny');
  await at(first, 'hub-download').click();
  await at(first, 'transfer').waitFor();
  const second = await anotherTab();
  const listed = at(second, 'stored').locator('li');
  await listed.filter({ hasText: 'in use by another tab' }).waitFor();
  assert.ok(await listed.getByRole('button', { name: 'Delete' }).isDisabled());
  await fillHub(second, server.url, 'loralet/tiny');
  await at(second, 'hub-download').click();
  await second.locator('[data-test="model-error"][data-kind="in_use"]').waitFor();
  await network.send('Network.emulateNetworkConditions', { ...slow, downloadThroughput: -1 });
  await at(first, 'model-facts').waitFor();
  await listed.getByRole('button', { name: 'Open' }).click();
  await at(second, 'model-facts').waitFor();
  assert.deepEqual([...first.thrown, ...second.thrown], []);
});

test('a stored model that cannot be read stays until a person deletes it', async () => {
  await first.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const models = await root.getDirectoryHandle('models', { create: true });
    const model = await models.getDirectoryHandle('theirs', { create: true });
    for (const [name, text] of [
      ['model.json', '{"version": 9}'],
      ['weights', 'of another version of the page'],
    ]) {
      const stream = await (await model.getFileHandle(name, { create: true })).createWritable();
      await stream.write(text);
      await stream.close();
    }
  });
  await first.reload();
  await go(first, 'model');
  await at(first, 'unreadable-models').filter({ hasText: '1 stored model cannot be read' }).waitFor();
  await first.reload();
  await at(first, 'unreadable-models').getByRole('button', { name: 'Delete' }).click();
  await at(first, 'unreadable-models').waitFor({ state: 'detached' });
});
