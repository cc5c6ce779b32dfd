/** The views of the studio: addresses, Back, what each says of itself, and the run beside them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CHATS,
  VIEWS,
  at,
  chooseData,
  focusedSection,
  go,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
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

const open = (options) => openPage(browser, `${server.url}?device=cpu`, options);

test('a link takes the focus into its view, and so do Back and Forward', async () => {
  const page = await open();
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  const entered = async (view) => {
    await page.locator(`section#${view}`).and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focusedSection(page), view, 'the next Tab has left it');
  };
  for (const view of VIEWS) {
    await at(page, `view-${view}`).focus();
    await page.keyboard.press('Enter');
    await entered(view);
    assert.equal(await page.evaluate(() => location.hash), `#${view}`);
    assert.equal(await page.locator('section:visible').count(), 1, 'two views are shown');
  }
  await page.goBack();
  await entered('runs');
  await page.goForward();
  await entered('export');
  await page.context().close();
});

test('a view has an address, which a reload and a link from elsewhere keep', async () => {
  const page = await openPage(browser, `${server.url}?device=cpu#train`);
  await page.locator('section#train').waitFor();
  assert.match(await page.title(), /^Train /);
  await go(page, 'runs');
  await page.reload();
  await page.locator('section#runs').waitFor();
  assert.equal(await at(page, 'view-runs').getAttribute('aria-current'), 'page');
  await page.goto(`${server.url}?device=cpu#nothing-of-the-kind`);
  await page.locator('section#data').waitFor();
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('what was typed in a view is there when one comes back', async () => {
  const page = await open();
  await openTiny(page);
  await go(page, 'try');
  await page.locator('#prompt').fill('Where is cat number 3?');
  await go(page, 'data');
  await page.goBack();
  assert.equal(await page.locator('#prompt').inputValue(), 'Where is cat number 3?');
  await page.context().close();
});

test('the list of views says how each stands, and what is next', async () => {
  const page = await open();
  const says = (view, words) => at(page, `view-${view}`).filter({ hasText: words }).waitFor();
  await says('data', 'next');
  await chooseData(page, 'cats.jsonl', CHATS);
  await says('data', 'waits for a model');
  await says('model', 'next');
  await openTiny(page);
  await says('model', 'Tiny');
  await says('data', '24 rows');
  await says('train', 'next');
  await set(page, { 'train.max_steps': 3 });
  await at(page, 'dock-start').click();
  await says('train', 'finished');
  await says('try', 'next');
  await says('runs', '1 run');
  await says('export', 'ready');
  await page.context().close();
});

test('a run moves next to nothing, wide or on a phone', { timeout: 180_000 }, async () => {
  for (const viewport of [
    { width: 1280, height: 900 },
    { width: 390, height: 844 },
  ]) {
    const page = await open({ viewport });
    await openTiny(page);
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await set(page, { 'train.max_steps': 60, 'eval.eval_steps': 10 });
    await at(page, 'start').scrollIntoViewIfNeeded();
    await page.evaluate(() => {
      window.shifts = [];
      const note = (list) => {
        for (const { value, hadRecentInput, sources } of list.getEntries()) {
          const what = sources.map(
            ({ node }) => `${node?.localName}.${node?.className} of ${node?.getRootNode().host?.localName}`,
          );
          if (!hadRecentInput) window.shifts.push({ value, what });
        }
      };
      new PerformanceObserver(note).observe({ type: 'layout-shift', buffered: false });
    });
    await at(page, 'start').click();
    await status(page, 'Finished');
    for (const view of VIEWS) await go(page, view);
    const shifts = await page.evaluate(() => window.shifts);
    const sum = shifts.reduce((sum, { value }) => sum + value, 0);
    // Figures that gain a digit move what is beside them by fractions of a pixel, and at the end there are other buttons.
    assert.ok(sum < 0.03, `${viewport.width} px: ${JSON.stringify(shifts)}`);
    await page.context().close();
  }
});

test('the run stays in sight in every view, and can be paused and stopped there', async () => {
  for (const viewport of [
    { width: 1280, height: 900 },
    { width: 900, height: 900 },
    { width: 360, height: 740 },
  ]) {
    const page = await open({ viewport });
    await openTiny(page);
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await set(page, { 'train.max_steps': 4000, 'eval.eval_steps': 1000 });
    await at(page, 'dock-start').click();
    await status(page, 'Training: step');
    for (const view of VIEWS) {
      await go(page, view);
      await at(page, 'dock-step')
        .filter({ hasText: /Step \d+ of 4,000/ })
        .waitFor();
      const { y, height } = await at(page, 'dock-pause').boundingBox();
      assert.ok(y >= 0 && y + height <= viewport.height, `${view} at ${viewport.width} px`);
    }
    await at(page, 'dock-pause').click();
    await at(page, 'dock-word')
      .filter({ hasText: /Paused at \d+/ })
      .waitFor();
    await at(page, 'dock-continue').click();
    await at(page, 'dock-stop').click();
    await at(page, 'dock-word')
      .filter({ hasText: /Stopped at \d+/ })
      .waitFor();
    await page.locator('run-dock').getByRole('button', { name: 'Try it' }).click();
    await page.locator('section#try').waitFor();
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  }
});

test('on a phone the views are a bar at the bottom, each in reach', async () => {
  for (const viewport of [
    { width: 320, height: 640 },
    { width: 320, height: 256 },
  ]) {
    const page = await open({ viewport });
    const views = page.getByRole('navigation', { name: 'Views' });
    await views.waitFor();
    for (const link of await views.getByRole('link').all()) {
      const box = await link.boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= 320 && box.y + box.height <= viewport.height);
      assert.ok(box.width >= 24 && box.height >= 24, 'too small for a finger');
    }
    await views.getByRole('link', { name: 'Runs' }).click();
    await page.locator('section#runs').and(page.locator(':focus')).waitFor();
    await page.locator('#runs-title').and(page.locator(':visible')).waitFor();
    await page.context().close();
  }
});

test('leaving is asked about while a run goes on, and no more once it is kept', async () => {
  const page = await open();
  await openTiny(page);
  await chooseData(page, 'cats.jsonl', CHATS);
  await at(page, 'report').waitFor();
  await set(page, { 'train.max_steps': 4000, 'eval.eval_steps': 1000 });
  await at(page, 'start').click();
  await status(page, 'Training: step');
  const asked = page.waitForEvent('dialog');
  await page.evaluate(() => void setTimeout(() => location.reload()));
  const dialog = await asked;
  assert.equal(dialog.type(), 'beforeunload');
  await dialog.dismiss();
  await at(page, 'stop').click();
  await status(page, 'Stopped at step');
  await at(page, 'train-status').filter({ hasNotText: 'Saving' }).waitFor();
  let again = 0;
  page.on('dialog', (dialog) => {
    again += 1;
    void dialog.accept();
  });
  await page.reload();
  await at(page, 'resume').waitFor();
  assert.equal(again, 0, 'it is asked although the run is kept');
  await page.context().close();
});
