/** What survives a reload: downloads and runs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
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
  tiles,
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

test('a repository is downloaded from a server laid out like the Hub', async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await fillHub(page, server.url, 'loralet/tiny');
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor();
  assert.match(await at(page, 'stored').innerText(), /loralet\/tiny/);

  await page.reload();
  await at(page, 'stored').getByRole('button', { name: 'Open' }).click();
  await at(page, 'model-facts').waitFor();
  await at(page, 'stored').getByRole('button', { name: 'Delete' }).click();
  await at(page, 'stored').waitFor({ state: 'detached' });
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('a download goes on after a reload where it was', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  const network = await page.context().newCDPSession(page);
  const limit = (downloadThroughput) =>
    network.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput,
      uploadThroughput: -1,
    });
  await network.send('Network.enable');
  await limit(15e6);
  await fillHub(page, server.url, 'loralet/smollm2');
  await at(page, 'hub-download').click();
  await at(page, 'transfer')
    .filter({ hasText: /: [2-9]\d MB of/ })
    .waitFor();
  await page.reload();

  await limit(-1);
  assert.match(await at(page, 'stored').innerText(), /incomplete/);
  const ranges = [];
  page.on('request', (request) => {
    if (request.url().endsWith('.gguf') && request.method() === 'GET') ranges.push(request.headers().range);
  });
  await fillHub(page, server.url, 'loralet/smollm2');
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor({ timeout: 200_000 });
  assert.match(String(ranges[0]), /^bytes=[1-9]\d{6,}-$/);
  assert.match(await at(page, 'model-facts').innerText(), /135 M/);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('a repository that is not there gets one sentence', async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await fillHub(page, server.url, 'loralet/none');
  await at(page, 'hub-download').click();
  assert.match(
    await at(page, 'model-error').innerText(),
    /^Loralet\/none: not found|^loralet\/none: not found/,
  );
  await fillHub(page, server.url, 'not a repository');
  await at(page, 'hub-download').click();
  await at(page, 'model-error').filter({ hasText: 'owner/name' }).waitFor();
  await openTiny(page);
  await page.context().close();
});

test('a stopped run is offered after a reload and goes on', async () => {
  const page = await openPage(browser, `${server.url}?device=cpu`);
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': 12 });
  for (let step = 1; step <= 3; step += 1) {
    await at(page, 'step').click();
    await status(page, `Paused at step ${step}`);
  }
  await at(page, 'stop').click();
  await status(page, 'Stopped at step 3');
  await saved(page);
  const before = (await tiles(page))['Training loss'];

  await page.reload();
  const banner = page.getByRole('region', { name: 'Earlier run' });
  await banner.getByText('A run stopped at step 3 of 12.').waitFor();
  await at(page, 'resume').click();
  await status(page, 'Paused at step 3');
  assert.equal((await tiles(page))['Training loss'], before);
  await at(page, 'continue').click();
  await status(page, 'Finished');
  assert.equal((await tiles(page)).Step, '12 of 12');
  await saved(page);

  await page.reload();
  await banner.getByText('A finished run is kept here.').waitFor();
  await at(page, 'resume').click();
  await status(page, 'Finished');
  await go(page, 'export');
  await at(page, 'files').getByText('adapter_model.safetensors').waitFor();

  await page.reload();
  await banner.waitFor();
  await at(page, 'discard').click();
  await banner.waitFor({ state: 'detached' });
  await page.reload();
  await go(page, 'model');
  await at(page, 'model-tiny').waitFor();
  assert.equal(await banner.count(), 0);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

/** A run is offered again once it is in storage, a moment after its end. */
async function saved(page) {
  await at(page, 'train-status').filter({ hasNotText: 'Saving' }).waitFor();
}
