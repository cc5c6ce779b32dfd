/** The built page on a plain static host, in a folder of it: without headers, without a network, and with a newer version. */
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { cp, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeServiceWorker } from '../offline/precache.mjs';
import { WWW, host, temporaryFolder } from './host.mjs';
import {
  CHATS,
  at,
  chooseData,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
} from './setup.mjs';

/** Where the page lies on the host; a site's own pages are above it. */
const PLACE = 'people/ada/loralet/';
const KEPT = { serviceWorkers: 'allow' };
/** What all hosts of these tests were asked for. */
const asked = [];

let folder, site, server, browser;
before(
  async () => {
    server = await startServer();
    browser = await startBrowser();
    folder = await temporaryFolder('site');
    site = join(folder.path, PLACE);
    await cp(join(WWW, 'dist'), site, { recursive: true });
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser?.close();
  await folder?.remove();
  server?.stop();
});

async function serve(headers) {
  const served = await host(folder.path, headers);
  const stop = () => {
    served.stop();
    asked.push(...served.asked.splice(0));
  };
  return { ...served, stop };
}

/** What was asked for and is not there. */
async function missing(asked) {
  const isThere = async (path) => {
    const found = await stat(join(folder.path, path.endsWith('/') ? `${path}index.html` : path)).catch(
      () => null,
    );
    return found?.isFile() ?? false;
  };
  const looked = await Promise.all([...new Set(asked)].map(async (path) => [path, await isThere(path)]));
  return looked.filter(([, there]) => !there).map(([path]) => path);
}

/** Once all files are kept and the page has locked its network. */
async function keptAndLocked(page) {
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await page.locator('privacy-line').filter({ hasText: 'locked' }).waitFor();
}

async function trainOneStep(page) {
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': 1 });
  await at(page, 'start').click();
  await status(page, 'Finished');
}

test(
  'in a folder of a static host it trains, and once kept with two threads',
  { timeout: 120_000 },
  async () => {
    const served = await serve();
    const page = await openPage(browser, `${served.url}${PLACE}?device=cpu`, KEPT);
    await openTiny(page);
    assert.match(await at(page, 'device').innerText(), /one thread/);
    await keptAndLocked(page);
    const before = served.asked.length;
    await trainOneStep(page);
    // Whatever a page that has locked its network tries, the service worker has no part in it.
    const got = await page.evaluate(async () => {
      const tries = [
        () => fetch('./samples/index.json'),
        () => fetch('./assets/nothing.js'),
        () => navigator.serviceWorker.register('./service-worker.js?secret'),
        () =>
          new Promise((yes, no) =>
            Object.assign(new Image(), { onload: yes, onerror: no, src: './icon.svg' }),
          ),
      ];
      navigator.serviceWorker.controller.postMessage({ fetch: './secret' });
      const ends = await Promise.allSettled(tries.map((attempt) => attempt()));
      return ends.map((end) => end.status);
    });
    assert.deepEqual(got, ['rejected', 'rejected', 'rejected', 'rejected']);
    assert.deepEqual(served.asked.slice(before), [], 'a locked page has asked for something');

    await page.reload();
    await openTiny(page);
    assert.equal(await page.evaluate(() => window.crossOriginIsolated), true);
    if (cpus().length > 1) assert.match(await at(page, 'device').innerText(), /two threads/);
    assert.deepEqual(await missing(served.asked), []);
    assert.ok(served.asked.every((path) => path.startsWith(`/${PLACE}`)));
    assert.deepEqual(page.thrown, []);
    await page.context().close();
    served.stop();
  },
);

test(
  'lesson 1 takes its first training step soon, and without a network too',
  { timeout: 120_000 },
  async (t) => {
    const served = await serve();
    // The step of the lesson that trains, as a pupil finds it who has done those before.
    const atTheRun = (page) =>
      page.addInitScript(() => location.host && localStorage.setItem('loralet lesson predicts', '{"at":4}'));
    const page = await openPage(browser, 'about:blank', KEPT, atTheRun);
    const train = async () => {
      await page.locator('input[name=guess]').first().check();
      await at(page, 'do').click();
      await page.waitForFunction(
        () => document.querySelector('lessons-app').lab.workspace.training.reports.length > 0,
      );
    };
    const began = performance.now();
    await page.goto(`${served.url}${PLACE}lessons.html#predicts`);
    await train();
    const seconds = (performance.now() - began) / 1000;
    t.diagnostic(`first training step ${seconds.toFixed(1)} s after a cold open`);
    assert.ok(seconds < 20, `${seconds} s`);
    await keptAndLocked(page);
    served.stop();

    await page.reload();
    await train();
    // The studio has never been opened here.
    await page.goto(`${served.url}${PLACE}?device=cpu`);
    await trainOneStep(page);
    await page.goto(`${served.url}${PLACE}lessons`);
    await at(page, 'open-predicts').waitFor();
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  },
);

test('hosts of models are asked each time, and by the page itself', { timeout: 60_000 }, async () => {
  const served = await serve();
  const models = await host(folder.path, { 'access-control-allow-origin': '*' });
  const page = await openPage(browser, `${served.url}${PLACE}lessons.html`, KEPT);
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await page.reload();
  assert.equal(await page.evaluate(() => window.crossOriginIsolated), true);
  const config = `${models.url}${PLACE}models/tiny/config.json`;
  for (let times = 0; times < 2; times += 1)
    assert.equal(await page.evaluate(async (url) => (await fetch(url)).status, config), 200);
  assert.deepEqual(models.asked, Array(2).fill(new URL(config).pathname));
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return requests.flat().map(({ url }) => url);
  });
  assert.ok(
    kept.length > 10 && kept.every((url) => url.startsWith(`${served.url}${PLACE}`)),
    kept.join('\n'),
  );
  await page.context().close();
  served.stop();
  models.stop();
});

test(
  'a newer version is shown at once to who opens it, and offered to who is at work',
  { timeout: 120_000 },
  async () => {
    const served = await serve();
    const old = await openPage(browser, `${served.url}${PLACE}?device=cpu`, KEPT);
    await openTiny(old);
    await keptAndLocked(old);
    await chooseData(old, 'cats.jsonl', CHATS);
    await at(old, 'report').waitFor();
    await set(old, { 'train.max_steps': 4000 });
    await at(old, 'start').click();
    await status(old, 'Step');

    await publishNewer();
    const fresh = await old.context().newPage();
    await fresh.goto(`${served.url}${PLACE}?device=cpu`);
    const isNew = (page) =>
      page.evaluate(() => document.querySelector('script[type=module]').src.includes('newer'));
    assert.equal(await isNew(fresh), true);
    await fresh.waitForFunction(async () => (await caches.keys()).length === 2);
    await fresh.locator('privacy-line').waitFor();
    // Not in mid-run, and only to the page that is old.
    await old.waitForFunction(() => document.querySelector('update-notice').network.isOutdated);
    assert.equal(await at(old, 'update').count(), 0);
    await at(old, 'stop').click();
    await at(old, 'update').waitFor();
    assert.equal(await isNew(old), false);
    assert.equal(await at(fresh, 'update').count(), 0);

    await at(old, 'update').getByRole('button', { name: 'Reload' }).click();
    await old.waitForFunction(() => document.querySelector('script[type=module]')?.src.includes('newer'));
    served.stop();
    await old.reload();
    await openTiny(old);
    assert.equal(await isNew(old), true);
    assert.deepEqual([old.thrown, await at(old, 'update').count()], [[], 0]);
    await old.context().close();
  },
);

test('what hosts were asked for is what docs/privacy.md lists', async () => {
  const text = await readFile(join(WWW, '../docs/privacy.md'), 'utf8');
  const rows = text.match(/To the host that the page came from:[^]*?\n\n(?<rows>[^]*?)\n\n/).groups.rows;
  const listed = [...rows.matchAll(/^\| (`[^|]+`) +\|/gm)].flatMap(([, cell]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name.replace(/^\.\/$/, '')),
  );
  const matches = (name, path) =>
    new RegExp(`^${name.replaceAll('.', '\\.').replaceAll('*', '[^/]+')}$`).test(path);
  const paths = [...new Set(asked.map((path) => path.slice(PLACE.length + 1)))];
  assert.ok(listed.length >= 8, listed.join(' '));
  const unlisted = paths.filter((path) => !listed.some((name) => matches(name, path)));
  assert.deepEqual(unlisted, [], 'not in docs/privacy.md');
  // The documentation is not part of this site.
  const unasked = listed.filter(
    (name) => !name.startsWith('docs/') && !paths.some((path) => matches(name, path)),
  );
  assert.deepEqual(unasked, [], 'in docs/privacy.md, but never asked for');
});

/** The site with another script for the studio, as a build would name it. */
async function publishNewer() {
  const assets = join(site, 'assets');
  const entry = (await readdir(assets)).find((name) => /^index-.*\.js$/.test(name));
  const newer = entry.replace('index-', 'index-newer-');
  await rename(join(assets, entry), join(assets, newer));
  const html = join(site, 'index.html');
  await writeFile(html, (await readFile(html, 'utf8')).replaceAll(entry, newer));
  await writeServiceWorker(site);
}
