/** The device under a run: lost, changed, asleep behind another tab; what was open stays open. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import {
  CHATS,
  SOFTWARE_WEBGPU,
  at,
  browserFlags,
  chooseData,
  go,
  onlyWorkers,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
  tiles,
  zipEntries,
} from './setup.mjs';

let server;
before(async () => (server = await startServer()), { timeout: 1_800_000 });
after(() => server?.stop());

function losses(page) {
  return page.locator('loss-chart').evaluate(({ reports }) => reports.map(({ loss }) => loss));
}

async function ready(page, settings) {
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, settings);
}

async function reaches(page, step) {
  const chart = await page.locator('loss-chart').elementHandle();
  const isThere = ([chart, step]) => chart.reports.at(-1)?.step >= step;
  // On a GPU in software the first step takes its time.
  await page.waitForFunction(isThere, [chart, step], { timeout: 300_000 });
}

describe('a GPU that is lost', () => {
  const SETTINGS = { 'train.max_steps': 5, 'train.batch_size': 2, 'eval.validation_fraction': 0 };
  let browser;
  before(async () => (browser = await startBrowser(SOFTWARE_WEBGPU)));
  after(() => browser?.close());

  async function onGpu() {
    const address = `${server.url}?device=webgpu`;
    const page = await openPage(browser, address, {}, () => undefined, `(${keepDevices})();`);
    await ready(page, SETTINGS);
    await page.getByRole('checkbox', { name: 'Forgetting probe' }).uncheck();
    return page;
  }

  /** As a driver does that is reset. */
  async function lose(page) {
    const begun = Date.now();
    await page.workers()[0].evaluate(() => globalThis.devices.forEach((device) => device.destroy()));
    await at(page, 'train-error').waitFor({ timeout: 15_000 });
    return Date.now() - begun;
  }

  async function says(page, words) {
    const error = at(page, 'train-error').filter({ hasText: words });
    await error.waitFor();
    const text = await error.innerText();
    assert.match(text, /^The GPU was lost \([^\n]+\); [^\n]+\.$/);
    assert.doesNotMatch(text, /caused by|backtrace/i);
  }

  test('it stays away: the run waits at its last checkpoint on the CPU and ends there', async (t) => {
    const page = await onGpu();
    const asked = await page.workers()[0].evaluate(() => globalThis.preferences);
    assert.deepEqual([...new Set(asked)], ['high-performance'], 'the stronger of two GPUs is to be used');
    for (const step of [1, 2]) {
      await at(page, 'step').click();
      await status(page, `Paused at step ${step}; a checkpoint is kept.`);
    }
    await page.evaluate(() => {
      void navigator.locks.request('no GPU any more', () => new Promise(() => undefined));
    });
    await at(page, 'continue').click();
    await reaches(page, 3);
    t.diagnostic(`said after ${await lose(page)} ms`);
    await says(page, /the run is back at its last checkpoint, step 2, on the CPU/);
    await status(page, 'Paused at step 2; a checkpoint is kept.');
    assert.equal(await page.locator('select[name=device]').inputValue(), 'cpu');
    const waiting = page.waitForEvent('download');
    await go(page, 'export');
    await at(page, 'download').click();
    const zip = await readFile(await (await waiting).path());
    assert.ok(zipEntries(zip).some((name) => name.endsWith('adapter_model.safetensors')));
    await go(page, 'train');
    await at(page, 'continue').click();
    await status(page, 'Finished');
    const resumed = await losses(page);
    await at(page, 'start').click();
    await at(page, 'train-status').filter({ hasNotText: 'Finished' }).waitFor();
    await status(page, 'Finished');
    const whole = await losses(page);
    assert.equal(resumed.length, 5);
    for (const [place, loss] of whole.entries())
      assert.ok(Math.abs(loss - resumed[place]) < 1e-3, `${resumed} is far from ${whole}`);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  });

  test('it comes back, and nothing was kept yet: the run is to be started again', async () => {
    const page = await onGpu();
    await at(page, 'start').click();
    await at(page, 'tiles').waitFor();
    await lose(page);
    await says(page, /nothing of the run was kept yet, so start it again, on the GPU now/);
    assert.equal(await at(page, 'resume').count(), 0);
    assert.match(await at(page, 'report').innerText(), /cats\.jsonl holds 24 rows/);
    assert.ok(await at(page, 'start').isEnabled());
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  });
});

describe('a device that is changed', () => {
  let browser;
  before(async () => (browser = await startBrowser()));
  after(() => browser?.close());

  test('model and data stay, also when it is changed again meanwhile, and no worker is left behind', async () => {
    const page = await openPage(browser, `${server.url}?device=cpu`);
    await ready(page, { 'train.max_steps': 2 });
    const device = page.locator('select[name=device]');
    for (const choice of ['auto', 'cpu', 'auto', 'cpu', 'auto']) await device.selectOption(choice);
    await at(page, 'start').and(page.locator(':enabled')).waitFor();
    await page.getByText('this browser has no WebGPU').or(at(page, 'device')).first().waitFor();
    await at(page, 'start').click();
    await status(page, 'Finished');
    assert.match(await at(page, 'report').innerText(), /cats\.jsonl holds 24 rows/);
    assert.equal(await page.locator('iframe').count(), 1);
    await onlyWorkers(page, 2);
    await device.selectOption('webgpu');
    await page.getByRole('alert').filter({ hasText: 'WebGPU' }).waitFor();
    await page.waitForFunction((select) => select.value === 'auto', await device.elementHandle());
    assert.match(await at(page, 'model-facts').innerText(), /Tiny/);
    await page.getByText('A finished run is kept here.').waitFor();
    assert.equal(await page.locator('iframe').count(), 1);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  });

  test('a model file that has changed on disk is named, and what is open stays open', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loralet-model-'));
    const files = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    for (const name of files) {
      const answer = await fetch(`${server.url}models/tiny/${name}`);
      await writeFile(join(folder, name), Buffer.from(await answer.arrayBuffer()));
    }
    const page = await openPage(browser, `${server.url}?device=cpu`);
    await go(page, 'model');
    await page.locator('[data-test="model-files"] input[name=folder]').setInputFiles(folder);
    await at(page, 'model-facts').waitFor();
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await set(page, { 'train.max_steps': 2 });
    const later = new Date(Date.now() + 5000);
    await utimes(join(folder, 'model.safetensors'), later, later);
    const device = page.locator('select[name=device]');
    await device.selectOption('auto');
    await page
      .getByRole('alert')
      .filter({
        hasText:
          /^The device stays as it is: model\.safetensors has been changed or moved .* choose it again/,
      })
      .waitFor();
    await page.waitForFunction((select) => select.value === 'cpu', await device.elementHandle());
    await at(page, 'start').click();
    await status(page, 'Finished');
    assert.equal((await at(page, 'model-error').count()) + (await at(page, 'data-error').count()), 0);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
    await rm(folder, { recursive: true });
  });

  test('the same data file, edited, is read anew when it is chosen again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loralet-data-'));
    const path = join(folder, 'chosen.jsonl');
    const choose = async (rows) => {
      await writeFile(path, CHATS.split('\n').slice(0, rows).join('\n'));
      await page.locator('[data-test="data-file"] input[name=file]').setInputFiles(path);
      await at(page, 'report')
        .filter({ hasText: `chosen.jsonl holds ${rows} rows` })
        .waitFor();
    };
    const page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await go(page, 'data');
    await at(page, 'data-file')
      .getByRole('button', { name: 'Choose a file' })
      .and(page.locator(':enabled'))
      .waitFor();
    await choose(8);
    await choose(9);
    await set(page, { 'train.max_steps': 2000 });
    await at(page, 'start').click();
    await reaches(page, 1);
    await go(page, 'data');
    await drop(page, path);
    await at(page, 'data-file').getByText('chosen.jsonl was not taken, because something else').waitFor();
    await go(page, 'train');
    await at(page, 'pause').click();
    await status(page, /^Paused at step \d+; a checkpoint is kept\.$/);
    const steps = (await losses(page)).length;
    // What the run needs of the file is kept with it.
    await rm(folder, { recursive: true });
    await page.reload();
    await at(page, 'resume').click();
    await status(page, `Paused at step ${steps}`);
    await at(page, 'step').click();
    await status(page, `Paused at step ${steps + 1}`);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  });
});

/** Drops a file of this computer where data is taken, as a person does. */
async function drop(page, path) {
  const zone = at(page, 'data-file').locator('.zone');
  await zone.scrollIntoViewIfNeeded();
  const box = await zone.boundingBox();
  const session = await page.context().newCDPSession(page);
  const event = {
    x: box.x + 40,
    y: box.y + 15,
    data: { items: [], files: [path], dragOperationsMask: 1 },
  };
  for (const type of ['dragEnter', 'dragOver', 'drop'])
    await session.send('Input.dispatchDragEvent', { type, ...event });
}

test('a run goes on behind another tab', async (t) => {
  const profile = await mkdtemp(join(tmpdir(), 'loralet-profile-'));
  // As people have it: what cannot be seen is throttled.
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: browserFlags,
    ignoreDefaultArgs: [
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
    ],
    headless: false,
  });
  t.after(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const [page] = context.pages();
  await page.goto(`${server.url}?device=cpu`);
  await ready(page, { 'train.max_steps': 20_000, 'eval.eval_steps': 20_000 });
  await at(page, 'start').click();
  await reaches(page, 20);
  const other = await context.newPage();
  await other.goto('about:blank');
  await other.bringToFront();
  t.diagnostic(`the page behind it is ${await page.evaluate(hiddenness)}`);
  // A handle asks for no frame to be drawn, as a locator does, of which there are few.
  const chart = await page.locator('loss-chart').elementHandle();
  const hidden = await stepsAndFrames(chart, 40);
  t.diagnostic(`${hidden.steps} steps while it was drawn ${hidden.frames} times`);
  assert.ok(hidden.frames < hidden.steps, 'the steps wait for the page to be drawn');
  await page.bringToFront();
  await reaches(page, (await losses(page)).length + 1);
  await at(page, 'stop').click();
  await status(page, 'Stopped at step');
  const steps = (await losses(page)).length;
  assert.equal(Number((await tiles(page)).Step.split(' of ')[0].replaceAll(/\D/g, '')), steps);
});

/** In the page: what the browser does to it. Without a window it is called visible, but drawn once a second at most. */
async function hiddenness() {
  let frames = 0;
  const count = () => {
    frames += 1;
    requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return `${document.visibilityState} and drawn ${frames} times in 1.5 s`;
}

/** How often the page is drawn while the run makes that many steps. */
async function stepsAndFrames(chart, more) {
  const read = () =>
    chart.evaluate((chart) => {
      if (chart.frames === undefined) {
        chart.frames = 0;
        const count = () => {
          chart.frames += 1;
          requestAnimationFrame(count);
        };
        count();
      }
      return { steps: chart.reports.length, frames: chart.frames };
    });
  const before = await read();
  let now = before;
  while (now.steps < before.steps + more) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    now = await read();
  }
  return { steps: now.steps - before.steps, frames: now.frames - before.frames };
}

/** In the worker: keeps the devices that are asked for, and gives none while the page holds a certain lock. */
function keepDevices() {
  globalThis.devices = [];
  globalThis.preferences = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await requestDevice.apply(this, given);
    globalThis.devices.push(device);
    return device;
  };
  const { requestAdapter } = GPU.prototype;
  GPU.prototype.requestAdapter = async function (options = {}) {
    globalThis.preferences.push(options.powerPreference);
    const { held } = await navigator.locks.query();
    return held.some(({ name }) => name === 'no GPU any more') ? null : requestAdapter.call(this, options);
  };
}
