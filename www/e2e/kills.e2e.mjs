/**
 * Runs that something ends in the middle: the worker, the tab, the storage, the server. What is said, what is kept, and that
 * the losses after resuming are those of a run that nothing ended, to the last bit.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import {
  CHATS,
  STORAGE_REFUSED,
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
  zipEntries,
} from './setup.mjs';

const STEPS = 80;
/** Checkpoints come every 20 steps, so from here on there is one. */
const AFTER_FIRST = 22;

let server, browser, uninterrupted;
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

async function ready(prepare) {
  const page = await openPage(browser, `${server.url}?device=cpu`, {}, prepare);
  await openTiny(page);
  await chooseRows(page);
  return page;
}

async function chooseRows(page) {
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': STEPS, 'eval.eval_steps': 30 });
}

/** What a run reported of each of its steps. */
function losses(page) {
  const read = ({ reports }) =>
    reports.map(({ step, loss, evaluation }) => [step, loss, evaluation?.loss ?? null]);
  return page.locator('loss-chart').evaluate(read);
}

async function begin(page) {
  await at(page, 'start').click();
  await reaches(page, AFTER_FIRST);
}

async function reaches(page, step) {
  const chart = await page.locator('loss-chart').elementHandle();
  await page.waitForFunction(([chart, step]) => chart.reports.at(-1)?.step >= step, [chart, step]);
}

async function killWorker(page) {
  // It cannot answer any more.
  await page
    .workers()[0]
    .evaluate(() => self.close())
    .catch(() => undefined);
}

async function continues(page) {
  await go(page, 'train');
  await at(page, 'continue').click();
  await finishes(page);
}

async function finishes(page) {
  await status(page, 'Finished');
  assert.deepEqual(await losses(page), uninterrupted);
  assert.deepEqual(page.thrown, []);
}

async function downloads(page) {
  const waiting = page.waitForEvent('download');
  await go(page, 'export');
  await at(page, 'download').click();
  const names = zipEntries(await readFile(await (await waiting).path()));
  assert.ok(
    names.some((name) => name.endsWith('adapter_model.safetensors')),
    String(names),
  );
}

/** The bytes that the page may store from now on; null for as many as usual. */
async function giveRoom(page, bytes) {
  // It holds as long as the session does.
  const session = (page.quotaSession ??= await page.context().newCDPSession(page));
  const { origin } = new URL(server.url);
  const quota = bytes === null ? {} : { quotaSize: bytes };
  await session.send('Storage.overrideQuotaForOrigin', { origin, ...quota });
}

describe('a run that is ended in the middle', () => {
  test('has its losses for comparison', async () => {
    const page = await ready();
    await begin(page);
    await status(page, 'Finished');
    uninterrupted = await losses(page);
    assert.equal(uninterrupted.length, STEPS);
    await page.context().close();
  });

  test('its worker is killed: it waits at its last checkpoint in another', async () => {
    const page = await ready();
    await begin(page);
    await killWorker(page);
    await at(page, 'train-error')
      .filter({
        hasText:
          /^The training worker stopped .*; the run is back at its last checkpoint, step \d0, on the CPU/,
      })
      .waitFor();
    await status(page, /^Paused at step \d0; a checkpoint is kept/);
    await downloads(page);
    await continues(page);
    assert.equal(await page.locator('iframe').count(), 1, 'the worker before has left its frame');
    await page.context().close();
  });

  test('its tab is closed while a checkpoint is written: the one before is whole', async () => {
    const page = await ready((page) => page.addInitScript(holdSecondCheckpoint));
    await begin(page);
    await page.waitForFunction(() => window.heldWrites > 0);
    const context = page.context();
    const again = await context.newPage();
    await page.close();
    await again.goto(`${server.url}?device=cpu`);
    again.thrown = [];
    again.on('pageerror', (error) => again.thrown.push(error.message));
    await again.getByText(`A run stopped at step 20 of ${STEPS}.`).waitFor();
    await at(again, 'resume').click();
    await status(again, 'Paused at step 20');
    await continues(again);
    await context.close();
  });

  test('its storage is full: that is said, training goes on, and the next checkpoint is tried again', async () => {
    const page = await ready();
    await begin(page);
    await giveRoom(page, 1000);
    await at(page, 'pause').click();
    await at(page, 'run-unkept')
      .filter({ hasText: /^The run could not be kept: the browser has no room left .* download the adapter/ })
      .waitFor();
    await status(page, /^Paused at step \d+\.$/);
    await giveRoom(page, null);
    await continues(page);
    await at(page, 'run-unkept').waitFor({ state: 'detached' });
    await at(page, 'train-status').filter({ hasNotText: 'Saving' }).waitFor();
    await page.reload();
    await page.getByText('A finished run is kept here.').waitFor();
    await page.context().close();
  });

  test('its storage is refused and its worker killed: the model opens, the run goes on from memory', async () => {
    const page = await openPage(browser, `${server.url}?device=cpu`, {}, (page) =>
      page.addInitScript(STORAGE_REFUSED),
    );
    await fillHub(page, server.url, 'loralet/tiny');
    await at(page, 'hub-download').click();
    await at(page, 'model-facts').waitFor();
    assert.match(
      await at(page, 'unkept').innerText(),
      /^loralet\/tiny is open here and not kept: the browser keeps nothing/,
    );
    await chooseRows(page);
    await begin(page);
    await at(page, 'run-unkept').filter({ hasText: 'The run could not be kept' }).waitFor();
    await killWorker(page);
    await status(page, /^Paused at step \d0\.$/);
    await continues(page);
    await downloads(page);
    await page.context().close();
  });

  test('its server is cut off and its worker killed: nothing of it is needed any more', async () => {
    const page = await ready();
    await begin(page);
    await page.context().setOffline(true);
    await killWorker(page);
    await at(page, 'train-error').filter({ hasText: 'the run is back at its last checkpoint' }).waitFor();
    await continues(page);
    await downloads(page);
    await page.context().close();
  });
});

test('a model for which there is no room opens without being kept', async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await giveRoom(page, 1_000_000);
  await fillHub(page, server.url, 'loralet/tiny');
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor();
  await at(page, 'unkept')
    .filter({ hasText: /not kept: the browser has no room left for this page/ })
    .waitFor();
  await page.reload();
  await at(page, 'stored').filter({ hasText: 'incomplete' }).waitFor();
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

/** In the page: lets the second account of a run, and each one after, never be written. */
function holdSecondCheckpoint() {
  const { prototype } = FileSystemFileHandle;
  const { createWritable } = prototype;
  let accounts = 0;
  window.heldWrites = 0;
  prototype.createWritable = function (...given) {
    if (this.name === 'run.json') accounts += 1;
    if (this.name !== 'run.json' || accounts === 1) return createWritable.apply(this, given);
    window.heldWrites += 1;
    return new Promise(() => undefined);
  };
}
