/** The documentation's site below the built page, on a plain static host: its live parts train, and nothing is missing. */
import assert from 'node:assert/strict';
import { cp, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { axeFindsNothing, fits } from './axe.mjs';
import { buildDocs } from '../docs/build.mjs';
import { WWW, host, packed, temporaryFolder } from './host.mjs';
import { onlyWorkers, openPage, startBrowser, startServer } from './setup.mjs';

const PLACE = 'people/ada/loralet/';

let folder, docs, server, browser, served;
before(
  async () => {
    server = await startServer();
    if (!(await isFresh())) await packed();
    folder = await temporaryFolder('docs');
    docs = join(folder.path, PLACE, 'docs');
    await cp(join(WWW, 'dist'), join(folder.path, PLACE), { recursive: true });
    await buildDocs(docs);
    served = await host(folder.path);
    browser = await startBrowser();
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser?.close();
  served?.stop();
  await folder?.remove();
  server?.stop();
});

/** Whether the package has been built of what the page is built of, as by a test before this one. */
async function isFresh() {
  const built = (path) =>
    stat(join(WWW, path)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  return (await built('dist-package/element.js')) > (await built('dist/index.html'));
}

/** What the page's policy refused is listed in `refused`. */
const open = (name, options) =>
  openPage(browser, `${served.url}${PLACE}docs/${name}`, options, (page) => {
    page.refused = [];
    page.on('console', (message) => {
      if (/Content Security Policy/i.test(message.text())) page.refused.push(message.text());
    });
  });

async function looksRight(page, name) {
  for (const [width, colorScheme] of [
    [320, 'dark'],
    [1280, 'light'],
  ]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await axeFindsNothing(page, `${name}, ${width} px`);
    await fits(page, name);
  }
}

test('a page of the documentation trains', { timeout: 120_000 }, async () => {
  const page = await open('');
  await page.locator('loralet-trainer [data-test=main]').waitFor();
  const heavy = served.asked.filter((path) => /wasm|worker|safetensors|jsonl/.test(path));
  assert.deepEqual(heavy, [], 'loaded before anybody asked for it');
  await looksRight(page, 'the first page');
  const trainer = page.locator('loralet-trainer');
  await trainer.locator('[data-test=main]').click();
  await trainer.locator('[data-test=status]').filter({ hasText: 'Done: 40 steps' }).waitFor();
  assert.match(await trainer.evaluate((element) => element.ask('Who is Ozzy?')), /goat/i);
  assert.deepEqual([page.thrown, page.refused], [[], []]);
  assert.equal(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
  await page.context().close();
});

test('the examples in JavaScript run, and print what they say', { timeout: 120_000 }, async () => {
  const page = await open('javascript.html');
  await looksRight(page, 'JavaScript');
  const run = async (place, words) => {
    const example = page.locator('[data-example]').nth(place);
    await example.getByRole('button').click();
    await example.getByRole('button', { name: 'Run it again' }).waitFor();
    assert.match(await example.locator('.printed').innerText(), words);
  };
  await run(0, /step 30 loss 0\.\d+\nbase: .*\ntuned: .*goat[^]*adapter, as PEFT opens it: \d{5,} bytes/);
  await run(1, /^"[^]+" 0\.\d+\n/);
  await run(2, /^unknown_key train\.learning_rat\n.*learning_rate/);
  await onlyWorkers(page, 0);
  assert.deepEqual([page.thrown, page.refused], [[], []]);
  await page.context().close();
});

test('every live part of every page has rows and settings that there are', { timeout: 120_000 }, async () => {
  const pages = (await readdir(docs)).filter((name) => name.endsWith('.html'));
  const parts = [];
  for (const name of pages) {
    const text = (await readFile(join(docs, name), 'utf8')).replaceAll(/<pre[^]*?<\/pre>/g, '');
    for (const [tag] of text.matchAll(/<loralet-trainer [^]*?>(?=\n)/g)) parts.push({ name, tag });
  }
  assert.ok(parts.length >= 9, `${parts.length} live parts`);
  const page = await open('element.html');
  const refused = await page.evaluate(async (parts) => {
    const { Loralet } = await import('./loralet/index.js');
    const trainer = await new Loralet().start({ device: 'cpu' });
    const found = [];
    for (const { name, tag } of parts) {
      const element = new DOMParser().parseFromString(tag, 'text/html').querySelector('loralet-trainer');
      const data = new URL(element.getAttribute('data'), document.baseURI);
      if (!(await fetch(data, { method: 'HEAD' })).ok) found.push(`${name}: ${data}`);
      const recipe = JSON.parse(element.getAttribute('recipe'));
      await trainer.validateRecipe(recipe).catch(({ message }) => found.push(`${name}: ${message}`));
    }
    trainer.terminate();
    return found;
  }, parts);
  assert.deepEqual(refused, []);
  for (const name of ['objectives.html', 'privacy.html']) {
    await page.goto(`${served.url}${PLACE}docs/${name}`);
    await looksRight(page, name);
  }
  assert.deepEqual([page.thrown, page.refused], [[], []]);
  await page.context().close();
});
