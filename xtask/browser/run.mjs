// Runs one job in headless Chromium: the job comes as one line of JSON on stdin, every event of the
// page goes to stdout as a line of JSON. Closing stdin ends the browser.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { beforeWorker, bufferBytes, countCalls } from './chromium.mjs';

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, 'line');
const { url, chromium: executablePath, modules, job } = JSON.parse(line);
const { chromium } = createRequire(modules)('playwright-core');

const FLAGS = [
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A hidden tab's worker must not be slowed down.
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
];
const WEBGPU = ['--enable-unsafe-webgpu', '--enable-features=Vulkan'];
const SOFTWARE_WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** Makes a GPU as weak as WebGPU allows. */
const DEFAULT_LIMITS = new URL('../../tests/support/default_limits.js', import.meta.url);

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
let browser;
lines.once('close', () => void end());
// The command was ended: nobody reads on.
process.stdout.on('error', () => void end());

try {
  browser = await launch(job.device === 'cpu' ? [] : WEBGPU);
  let page = await browser.newPage();
  if (job.device === 'webgpu' && !(await hasAdapter(page))) {
    await browser.close();
    browser = await launch(SOFTWARE_WEBGPU);
    page = await browser.newPage();
  }
  emit({ event: 'browser', version: browser.version() });
  await run(page);
} catch (error) {
  emit({ event: 'failed', kind: 'browser', message: String(error.message ?? error).split('\n')[0] });
}
await end();

async function run(page) {
  const crashed = new Promise((_, reject) => {
    page.on('crash', () => reject(new Error('the browser tab crashed, most likely out of memory')));
    browser.on('disconnected', () => reject(new Error('the browser ended unexpectedly')));
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) emit({ event: 'console', text: message.text() });
  });
  page.on('pageerror', (error) => emit({ event: 'console', text: String(error) }));
  await page.exposeFunction('loraletEvent', (json) => process.stdout.write(`${json}\n`));
  await page.exposeFunction('loraletBufferBytes', () => bufferBytes(page));
  const scripts = [];
  if (job.default_limits) scripts.push(await readFile(DEFAULT_LIMITS, 'utf8'));
  if (job.tasks.some((task) => task.memory_after?.length > 0)) scripts.push(`(${countCalls})()`);
  if (scripts.length > 0) await beforeWorker(page, scripts.join(';\n'));
  const driven = (async () => {
    await page.goto(new URL('/headless.html', url).href);
    await page.waitForFunction('window.loraletRun !== undefined', null, { timeout: 30_000 });
    await page.evaluate((job) => window.loraletRun(job), job);
  })();
  await Promise.race([driven, crashed]);
}

function launch(flags) {
  // The sandbox needs kernel rights that containers and root do not have.
  const sandbox = process.getuid?.() === 0 || process.env.CI ? ['--no-sandbox'] : [];
  return chromium.launch({
    executablePath,
    headless: true,
    timeout: 60_000,
    args: [...FLAGS, ...sandbox, ...flags],
  });
}

async function hasAdapter(page) {
  await page.goto(new URL('/headless.html', url).href);
  return page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
}

async function end() {
  await browser?.close().catch(() => undefined);
  process.exit();
}
