/** The second thread of the CPU path: where the page may share memory with its workers, it changes the pace and no number. */
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { after, before, test } from 'node:test';
import { rewrite } from '../../xtask/browser/chromium.mjs';
import { at, chooseData, openPage, openTiny, set, startBrowser, startServer, status } from './setup.mjs';

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  server?.stop();
});

/** Long enough rows that products of `tiny` are worth sharing. */
const ROWS = Array.from({ length: 16 }, (_, row) =>
  JSON.stringify({ text: `The ${row + 2} cats sleep on the roof and the dog is in the garden. `.repeat(12) }),
).join('\n');

test('two threads give the losses of one', { skip: cpus().length < 2 && 'one core' }, async () => {
  const shared = await trained(/two threads/, () => undefined);
  const alone = await trained(/one thread/, withoutIsolation);
  assert.equal(shared.length, 3);
  assert.deepEqual(shared, alone);
});

/** Losses of a short run. */
async function trained(threads, prepare) {
  const page = await openPage(browser, `${server.url}?device=cpu`, {}, prepare);
  await openTiny(page);
  assert.match(await at(page, 'device').innerText(), threads);
  await chooseData(page, 'cats.jsonl', ROWS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': 3, 'train.batch_size': 8 });
  await at(page, 'start').click();
  await status(page, 'Finished');
  const losses = await page
    .locator('loss-chart')
    .evaluate((element) => element.reports.map((report) => report.loss));
  assert.deepEqual(page.thrown, []);
  await page.context().close();
  return losses;
}

/** As on a host that does not send the headers which memory is shared by. */
function withoutIsolation(page) {
  return rewrite(page, `${server.url}**`, (response) => {
    const isolates = ([name]) => /^cross-origin-(opener|embedder)/.test(name);
    const headers = Object.entries(response.headers()).filter((header) => !isolates(header));
    return { headers: Object.fromEntries(headers) };
  });
}
