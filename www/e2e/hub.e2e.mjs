/** Downloads from servers that misbehave: each gets one sentence, what can be waited for is, and nothing wrong is kept. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AWKWARD, startHub } from './hub.mjs';
import { at, go, openPage, startBrowser, startServer } from './setup.mjs';

let server, browser, hub;
before(
  async () => {
    server = await startServer();
    browser = await startBrowser();
    hub = await startHub();
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser.close();
  hub.stop();
  server.stop();
});

async function fillHub(page, repo, endpoint = hub.url) {
  const form = page.locator('model-hub');
  await form.locator('details').evaluate((details) => (details.open = true));
  await form.getByLabel('Endpoint').fill(endpoint);
  await form.getByLabel('Repository id').fill(repo);
}

async function openHub(prepare) {
  hub.heal(false);
  const page = await openPage(browser, `${server.url}?device=cpu`, {}, prepare);
  await go(page, 'model');
  await at(page, 'model-tiny').waitFor();
  return page;
}

/** Presses Download until the page says what is wrong, and hands out what it says. */
async function refused(page, repo, endpoint) {
  await fillHub(page, repo, endpoint);
  await at(page, 'hub-download').click();
  await at(page, 'hub-download').and(page.locator(':enabled')).waitFor();
  const error = await at(page, 'model-error').innerText();
  assert.match(error, /^[^\n]+\.$/, 'not one sentence');
  return error;
}

/** What is kept of the weights, in bytes. */
const keptBytes = (page) =>
  page.evaluate(async () => {
    let sum = 0;
    const visit = async (folder, isWeights) => {
      for await (const entry of folder.values()) {
        if (entry.kind === 'directory') await visit(entry, entry.name.endsWith('.safetensors'));
        else if (isWeights) sum += (await entry.getFile()).size;
      }
    };
    await visit(await navigator.storage.getDirectory(), false);
    return sum;
  });

const GATED = /gated \(40[13]\).* sign in at .*\/cases\/gated.*, ask for access, .* or choose another model/;

/** Repository, what is said of it. */
const FAULTS = [
  ['redirects-without-cors', /^[\w.]+: 127\.0\.0\.1:\d+ hands this on to another host.* no CORS headers/],
  ['redirects-nowhere', /^[\w.]+: 127\.0\.0\.1:\d+ hands this on to another host.* could not be reached/],
  ['mirror-without-cors', /^cases\/mirror-without-cors: .* hands this on to another host.* no CORS headers/],
  ['busy-always', /^model\.safetensors: 127.* too many requests \(429\), even after 3 waits; try again/],
  ['busy-long', /^[\w.]+: 127.* too many requests \(429\) and asks to wait 5 min; press .* after \d+:\d+/],
  ['down', /^cases\/down: 127.* not available now \(503\), even after 3 waits; try again/],
  ['broken', /^cases\/broken: 127.* answered 500; try again later/],
  ['gated', GATED],
  ['gated-refused', GATED],
  ['gated-silent', /^[\w.]+: .* only to those who are signed in \(401\), as with gated repositories/],
  ['private', /^cases\/private: .* refuses to give it out \(403\)/],
  ['unknown', /^cases\/unknown: .* \(401\); the name may be wrong or the repository private/],
  ['missing', /^cases\/missing: not found on 127.* \(404\); check the name/],
  ['no-revision', /^cases\/no-revision: .* no such revision \(404\)/],
  ['not-there', /^model\.safetensors: not found on 127.* \(404\), though it was listed/],
  ['page-listing', /^cases\/page-listing: 127.* sent a web page in place of the file/],
  ['not-a-hub', /does not answer like the Hugging Face Hub; check the endpoint/],
  ['page', /^model\.safetensors: 127.* sent a web page in place of the file/],
  ['page-large', /^model\.safetensors: 127.* sent a web page in place of the file/],
  ['page-untyped', /^model\.safetensors: 127.* sent a web page in place of the file/],
  ['cut', /^model\.safetensors: 127.* sent 2112128 bytes where it lists 2113128/],
  ['too-long', /^model\.safetensors: 127.* sends more than the 2113128 bytes that it lists/],
  [
    'other-content',
    /^model\.safetensors: what 127.* sent has the sha256 [0-9a-f]{12}… where it lists [0-9a-f]{12}…/,
  ],
  ['large-stops', /^model\.safetensors: the connection broke after 0 of 22 MB; press the button again/],
];
test(
  'what cannot be downloaded gets one sentence, and nothing wrong is kept',
  { timeout: 240_000 },
  async (t) => {
    const page = await openHub();
    for (const [name, said] of FAULTS) {
      await t.test(name, async () => {
        assert.match(await refused(page, `cases/${name}`), said);
        assert.equal(await keptBytes(page), 0);
      });
    }
    assert.equal(await at(page, 'model-facts').count(), 0, 'something partial was opened');
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  },
);

for (const name of ['busy-long', 'gated', 'page', 'cut', 'other-content']) {
  test(`${name}: a second press works once the server does`, async () => {
    const page = await openHub();
    await refused(page, `cases/${name}`);
    hub.heal();
    await at(page, 'hub-download').click();
    await at(page, 'model-facts').waitFor();
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  });
}

test('a host that is not there is called that, and one that pages may not read is not', async () => {
  const page = await openHub();
  assert.match(
    await refused(page, 'cases/plain', hub.nowhere),
    /^cases\/plain: 127\.0\.0\.1:\d+ could not be reached; check/,
  );
  const { port } = hub.noCors.address();
  assert.match(
    await refused(page, 'cases/plain', `http://127.0.0.1:${port}`),
    new RegExp(`127\\.0\\.0\\.1:${port} answers, but does not let web pages read it`),
  );
  await page.context().close();
});

for (const [name, least] of [
  ['redirects', 0],
  ['busy-seconds', 2000],
  ['busy-date', 1000],
  ['paged', 0],
]) {
  test(`${name}: opens${least > 0 ? ' after the wait that the server asks for' : ''}`, async () => {
    const page = await openHub();
    await fillHub(page, `cases/${name}`);
    const began = Date.now();
    await at(page, 'hub-download').click();
    await at(page, 'model-facts').waitFor();
    assert.ok(Date.now() - began >= least, `${Date.now() - began} ms`);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  });
}

test('a wait counts down, is announced, and can be stopped', async () => {
  const page = await openHub();
  await fillHub(page, 'cases/busy-minute');
  await at(page, 'hub-download').click();
  const line = at(page, 'transfer');
  await line.getByText(/: 127.* too many requests \(429\); going on in 60 s|1 min 0 s/).waitFor();
  await line.getByText(/going on in 5[0-8] s/).waitFor();
  assert.match(await at(page, 'transfer-status').filter({ hasText: 'going on' }).innerText(), /429/);
  await page.getByRole('progressbar', { name: /^Download of [\w.]+$/ }).waitFor();
  await line.getByRole('button', { name: 'Stop' }).press('Enter');
  await line.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'LORALET-APP', 'the focus is lost');
  assert.equal(await at(page, 'model-error').count(), 0);
  hub.heal();
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor();
  await page.context().close();
});

test('a connection that breaks goes on from the last piece', async () => {
  const page = await openHub();
  hub.requests.length = 0;
  await fillHub(page, 'cases/large-breaks');
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor();
  const ranges = hub.requests.filter(({ path }) => path.endsWith('.safetensors')).map(({ range }) => range);
  assert.deepEqual(ranges, [null, 'bytes=8388608-']);
  await page.context().close();
});

test('a file that changes between two tries is never made of both', async () => {
  const page = await openHub();
  hub.requests.length = 0;
  await fillHub(page, 'cases/large-changes');
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor();
  const ranges = hub.requests.filter(({ path }) => path.endsWith('.safetensors')).map(({ range }) => range);
  assert.deepEqual(ranges, [null, 'bytes=8388608-', null]);
  const filler = await page.evaluate(async () => {
    const found = new Set();
    const visit = async (folder) => {
      for await (const entry of folder.values()) {
        if (entry.kind === 'directory') await visit(entry);
        else if (entry.name === '00000000' || entry.name === '00000001') {
          const file = await entry.getFile();
          if (file.size === 8 * 1024 * 1024) found.add((await file.slice(-1).text()).charCodeAt(0));
        }
      }
    };
    await visit(await navigator.storage.getDirectory());
    return [...found];
  });
  assert.deepEqual(filler, ['\n'.charCodeAt(0)]);
  await page.context().close();
});

test('a name with spaces, signs and letters of other alphabets is asked for as it is', async () => {
  const page = await openHub();
  hub.requests.length = 0;
  await fillHub(page, 'cases/awkward');
  await at(page, 'hub-download').click();
  await at(page, 'model-facts').waitFor();
  const asked = hub.requests.find(({ path }) => path.includes('/resolve/'));
  assert.ok(asked.path.endsWith(`/resolve/main/${encodeURIComponent(AWKWARD)}`), asked.path);
  assert.match(await at(page, 'stored').innerText(), new RegExp(AWKWARD.replace(/[+?.]/g, '\\$&')));
  await page.context().close();
});

test('a server that falls silent is given up after a minute', async () => {
  const page = await openHub((page) => page.clock.install());
  await fillHub(page, 'cases/silent');
  await at(page, 'hub-download').click();
  await at(page, 'transfer').getByText('model.safetensors').waitFor();
  for (let minute = 0; minute < 5; minute += 1) {
    await page.clock.runFor('01:10');
    await page.waitForTimeout(200);
  }
  assert.match(
    await at(page, 'model-error').innerText(),
    /^model\.safetensors: .*(did not answer|connection broke)/,
  );
  await page.context().close();
});
