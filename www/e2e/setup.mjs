/** A server, a browser and a page for the tests, and the words they share. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { beforeWorker } from '../../xtask/browser/chromium.mjs';

export const browserFlags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
export const SOFTWARE_WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** The server that `cargo xtask test` runs, or one of our own. */
export async function startServer() {
  const given = process.env.LORALET_URL;
  if (given) return { url: given, stop: () => undefined };
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const server = spawn('cargo', ['xtask', 'serve', '--port', '0', '--no-open'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const url = await new Promise((resolve, reject) => {
    let printed = '';
    server.stdout.on('data', (text) => {
      printed += text;
      const found = /Loralet is at (\S+)/.exec(printed);
      if (found) resolve(found[1]);
    });
    server.on('exit', (code) => reject(new Error(`cargo xtask serve ended with exit code ${code}`)));
  });
  return { url, stop: () => process.kill(-server.pid) };
}

export function startBrowser(flags = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...browserFlags, ...flags],
  });
}

/** The GPU of every page is as weak as WebGPU allows. */
const LIMITS = await readFile(new URL('../../tests/support/default_limits.js', import.meta.url), 'utf8');

/**
 * A page with storage of its own. Anything the page throws fails the test that looks at `page.thrown`. `inWorker` is a script
 * that runs before the training worker's own. Nothing is kept offline unless the options allow service workers, which would
 * take requests away from tests that answer them.
 */
export async function openPage(browser, url, options = {}, prepare = () => undefined, inWorker = '') {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    serviceWorkers: 'block',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.thrown = [];
  page.on('pageerror', (error) => page.thrown.push(error.message));
  await page.addInitScript(LIMITS);
  await prepare(page);
  await beforeWorker(page, `${LIMITS};\n${inWorker}`);
  await page.goto(url);
  return page;
}

export const at = (page, name) => page.locator(`[data-test="${name}"]`);

/** The views of the studio. */
export const VIEWS = ['data', 'model', 'train', 'try', 'runs', 'export'];

/** Goes to a view of the studio by its link, as a person does. */
export async function go(page, view) {
  const link = at(page, `view-${view}`);
  if ((await link.getAttribute('aria-current')) !== 'page') await link.click();
  await page.locator(`section#${view}`).waitFor();
}

/** The view in which the focus is, "page" outside of all, null where nothing has it. */
export const focusedSection = (page) =>
  page.evaluate(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    if (!element || element === document.body) return null;
    for (let node = element; node; node = node.parentNode ?? node.host) {
      if (node.tagName === 'SECTION') return node.id;
    }
    return 'page';
  });

export async function openTiny(page) {
  await go(page, 'model');
  await at(page, 'model-tiny').click();
  await at(page, 'model-facts').waitFor();
}

export async function chooseData(page, name, content) {
  await go(page, 'data');
  // While a model is being opened no file is taken.
  const button = at(page, 'data-file').getByRole('button', { name: 'Choose a file' });
  await button.and(page.locator(':enabled')).waitFor();
  await page.locator('[data-test="data-file"] input[name=file]').setInputFiles(file(name, content));
}

export async function chooseSample(page, file) {
  await go(page, 'data');
  const list = at(page, 'samples');
  await list.waitFor();
  if (!(await list.evaluate((details) => details.open))) await list.locator('summary').click();
  await at(page, `sample-${file}`).click();
}

export async function chooseModel(page, name, content) {
  await go(page, 'model');
  await page.locator('[data-test="model-files"] input[name=file]').setInputFiles(file(name, content));
}

function file(name, content) {
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) };
}

/** Rows that `tiny` can learn within some steps. */
export const CHATS = Array.from({ length: 24 }, (_, index) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: `Where is cat number ${index}?` },
      { role: 'assistant', content: 'The cat sleeps on the roof.' },
    ],
  }),
).join('\n');

/** Fills fields by dotted key; those of the folded part as well. */
export async function set(page, settings) {
  await go(page, 'train');
  await page.locator('[data-test="more-settings"]').evaluate((details) => (details.open = true));
  for (const [path, value] of Object.entries(settings)) {
    const field = page.locator(`input[name="${path}"]`);
    await field.fill(String(value));
    await field.press('Tab');
  }
}

/** Waits, in the view of the run, until it stands so. */
export async function status(page, words, timeout = 120_000) {
  await go(page, 'train');
  await at(page, 'train-status').filter({ hasText: words }).waitFor({ timeout });
}

/** The figures under the controls by their names. */
export async function tiles(page) {
  const rows = await at(page, 'tiles').locator('div').all();
  const entries = await Promise.all(
    rows.map(async (row) => [await row.locator('dt').innerText(), await row.locator('dd').innerText()]),
  );
  return Object.fromEntries(entries);
}

/** Names a repository of the server's that is laid out like the Hub. */
export async function fillHub(page, url, repo) {
  await go(page, 'model');
  const hub = page.locator('model-hub');
  await hub.locator('details').evaluate((details) => (details.open = true));
  await hub.getByLabel('Endpoint').fill(`${url}hub`);
  await hub.getByLabel('Repository id').fill(repo);
}

/** In a page: what the private windows of some browsers do. */
export const STORAGE_REFUSED = `navigator.storage.getDirectory = () =>
  Promise.reject(new DOMException('Security error when calling GetDirectory', 'SecurityError'));`;

/** Fails unless the page comes down to so many workers; the browser says some moments later that one has ended. */
export async function onlyWorkers(page, most) {
  for (let wait = 0; page.workers().length > most && wait < 200; wait += 1) await page.waitForTimeout(100);
  if (page.workers().length > most) throw new Error(`${page.workers().length} workers are left, not ${most}`);
}

/** The names in a zip's central directory. */
export function zipEntries(bytes) {
  const names = [];
  for (let at = bytes.indexOf('PK\x01\x02'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 46)) {
    const length = bytes.readUInt16LE(at + 28);
    names.push(bytes.toString('utf8', at + 46, at + 46 + length));
  }
  return names;
}
