/** The page for everyone: keyboard, screen reader, small screens; axe finds nothing in any state. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axeFindsNothing, fits } from './axe.mjs';
import {
  CHATS,
  VIEWS,
  at,
  chooseData,
  chooseSample,
  focusedSection,
  go,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
} from './setup.mjs';

const DOUBLE = `${CHATS}\n${CHATS.split('\n')[0]}`;

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

const SCREENS = [
  ['dark', { width: 1280, height: 900 }, 'dark'],
  ['320 px', { width: 320, height: 640 }, 'light'],
  ['wide', { width: 1280, height: 900 }, 'light'],
];

test('axe finds nothing and nothing is too wide in any state', { timeout: 420_000 }, async () => {
  const page = await open();
  /** Looks at a view as things stand; with none at the one that is shown. */
  const look = async (state, ...views) => {
    for (const view of views) await lookAt(`${state}, ${view}`, view);
    if (views.length === 0) await lookAt(state, null);
  };
  const lookAt = async (state, view) => {
    if (view) await go(page, view);
    for (const [screen, viewport, colorScheme] of SCREENS) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      // Colours change over a fifth of a second.
      await page.waitForTimeout(300);
      await axeFindsNothing(page, `${state}, ${screen}`);
      await fits(page, `${state}, ${screen}`);
    }
  };
  await look('empty', ...VIEWS);
  await page.locator('privacy-line summary').click();
  await look('privacy panel open');
  await page.locator('privacy-line summary').click();
  await openTiny(page);
  await look('model open', 'model');
  await chooseData(page, 'broken.jsonl', '{"text": "one"}\n{"text": ');
  await at(page, 'data-error').waitFor();
  await look('bad data');
  await chooseData(page, 'cats.jsonl', DOUBLE);
  await at(page, 'fix-drop_duplicates').waitFor();
  await set(page, { 'train.max_steps': 4000, 'eval.eval_steps': 100 });
  await look('data open', 'data', 'train');
  await at(page, 'start').click();
  await status(page, 'Training: step');
  await look('training', 'try', 'train');
  await at(page, 'pause').click();
  await status(page, 'Paused');
  await look('paused');
  await at(page, 'stop').click();
  await status(page, 'Stopped');
  await set(page, { 'train.max_steps': 3 });
  await at(page, 'start').click();
  await status(page, 'Finished');
  await go(page, 'export');
  await at(page, 'files').waitFor();
  await page.locator('sweep-panel details').evaluate((details) => (details.open = true));
  await look('finished', ...VIEWS);
  await go(page, 'try');
  await page.locator('#prompt').fill('Where is cat number 3?');
  await at(page, 'ask').click();
  await page.locator('article.tuned[aria-busy=false] .answer').waitFor();
  await page.getByLabel('Most rows to ask').fill('1');
  await at(page, 'worth-measure').click();
  await at(page, 'worth-answers').locator('summary').click();
  await look('answered and measured');
  await set(page, { 'train.max_steps': 4000 });
  await at(page, 'start').click();
  await status(page, 'Training: step');
  assert.deepEqual(page.thrown, []);
  // The trainer crashes.
  const crash = () =>
    setTimeout(() => {
      throw new Error('out of memory');
    }, 0);
  // Its helper ends with it.
  for (const worker of page.workers()) await worker.evaluate(crash).catch(() => undefined);
  await at(page, 'train-error').waitFor();
  await look('failed');
  await page.context().close();
});

/** A page that notes at every frame whether a press has left nothing with the focus, and what presses its buttons. */
async function watched() {
  const page = await open();
  await go(page, 'model');
  await page.evaluate(() => {
    window.lost = [];
    const look = () => {
      if (window.pressed && document.activeElement === document.body) window.lost.push(window.pressed);
      requestAnimationFrame(look);
    };
    look();
  });
  const press = async (button, section, then) => {
    await button.focus();
    await page.evaluate((name) => (window.pressed = name), String(button));
    await page.keyboard.press('Enter');
    await then();
    await page.waitForTimeout(150);
    assert.equal(await focusedSection(page), section, String(button));
    await page.evaluate(() => (window.pressed = null));
  };
  return { page, press };
}

test('no press loses the focus: downloads', async () => {
  const { page, press } = await watched();
  const form = page.locator('model-hub');
  await form.locator('details').evaluate((details) => (details.open = true));
  await form.getByLabel('Endpoint').fill(`${server.url}hub`);
  await form.getByLabel('Repository id').fill('loralet/none');
  const download = at(page, 'hub-download');
  await press(download, 'model', () => at(page, 'model-error').waitFor());
  assert.ok(await download.evaluate((button) => button.matches(':focus')), 'it is not where it was');
  await form.getByLabel('Repository id').fill('loralet/tiny');
  await press(download, 'model', () => at(page, 'model-facts').waitFor());
  await press(at(page, 'stored').getByRole('button', { name: 'Delete' }), 'model', () =>
    at(page, 'stored').waitFor({ state: 'detached' }),
  );
  assert.deepEqual(await page.evaluate(() => window.lost), []);
  await page.context().close();
});

test('no press loses the focus: data, training, answers', { timeout: 180_000 }, async () => {
  const { page, press } = await watched();
  await press(at(page, 'model-tiny'), 'model', () => at(page, 'model-facts').waitFor());
  await go(page, 'data');
  const choose = at(page, 'data-file').getByRole('button', { name: 'Choose a file' });
  const chooser = page.waitForEvent('filechooser');
  await press(choose, 'data', async () => {
    const file = { name: 'cats.jsonl', mimeType: 'application/octet-stream', buffer: Buffer.from(DOUBLE) };
    await (await chooser).setFiles(file);
    await at(page, 'report').waitFor();
  });
  assert.ok(await choose.evaluate((button) => button.matches(':focus')), 'it is not where it was');
  await press(at(page, 'fix-drop_duplicates'), 'data', () => at(page, 'change-drop_duplicates').waitFor());
  await set(page, { 'train.max_steps': 4000, 'eval.eval_steps': 1000 });
  await press(at(page, 'start'), 'train', () => status(page, 'Training: step'));
  await press(at(page, 'pause'), 'train', () => status(page, 'Paused'));
  await press(at(page, 'step'), 'train', () => status(page, 'Paused'));
  await press(at(page, 'continue'), 'train', () => status(page, 'Training'));
  await press(at(page, 'stop'), 'train', () => status(page, 'Stopped'));
  await go(page, 'export');
  await at(page, 'files').waitFor();
  const zip = page.waitForEvent('download');
  await press(at(page, 'download'), 'export', () => zip);
  await go(page, 'try');
  await page.locator('#prompt').fill('Where is cat number 3?');
  await press(at(page, 'ask'), 'try', () => page.locator('article.tuned[aria-busy=false] .answer').waitFor());
  await go(page, 'runs');
  await press(page.getByRole('button', { name: 'Delete run 1' }), 'runs', () =>
    at(page, 'no-runs').waitFor(),
  );
  assert.deepEqual(await page.evaluate(() => window.lost), []);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test(
  'training is announced when it begins, now and then, and when it ends',
  { timeout: 180_000 },
  async () => {
    const page = await open();
    await openTiny(page);
    await chooseData(page, 'cats.jsonl', CHATS);
    await at(page, 'report').waitFor();
    await set(page, { 'train.max_steps': 600, 'eval.eval_steps': 20 });
    await at(page, 'train-status').evaluate((region) => {
      window.said = [];
      const note = () => {
        const text = region.textContent.trim();
        if (window.said.at(-1)?.text !== text) window.said.push({ text, at: performance.now() });
      };
      new MutationObserver(note).observe(region, { childList: true, subtree: true, characterData: true });
    });
    assert.equal(await at(page, 'train-status').getAttribute('role'), 'status');
    await at(page, 'start').click();
    const region = at(page, 'train-status');
    const first = await region.filter({ hasText: /step \d+ of 600/ }).innerText();
    await region.filter({ hasText: /step \d+ of 600/, hasNotText: first }).waitFor();
    await at(page, 'pause').click();
    const paused = Number(/step (\d+)/.exec(await region.filter({ hasText: 'Paused at' }).innerText())[1]);
    await at(page, 'continue').click();
    const on = Number(/step (\d+)/.exec(await region.filter({ hasText: 'Training: step' }).innerText())[1]);
    assert.ok(on >= paused, `step ${on} is told after step ${paused}`);
    await at(page, 'stop').click();
    await status(page, 'Stopped');
    const said = await page.evaluate(() => window.said);
    const far = said.filter(({ text }) => /^Training: step \d+ of 600, about .* left\.$/.test(text));
    assert.match(said[0].text, /^Training: the first step/);
    assert.match(said.at(-1).text, /^Stopped/);
    assert.ok(far.length < 5, `said ${far.length} times how far it is`);
    assert.ok(far[1].at - far[0].at > 4500, 'one announcement talks over the other');
    await page.getByRole('progressbar', { name: 'Training' }).waitFor();

    // The charts in words.
    const label = (chart) => page.locator(`${chart} [role=img]`).getAttribute('aria-label');
    assert.match(
      await label('loss-chart'),
      /^Loss over steps\. Step \d+ of 600: Training \d\.\d+; Training, smoothed \d\.\d+; Validation \d\.\d+( at step \d+)?; Forgetting probe \d\.\d+( at step \d+)?\.$/,
    );
    assert.match(
      await label('runs-chart'),
      /^Loss over steps of run 1 up to step \d+: training \d\.\d+; validation \d\.\d+( at step \d+)?\.$/,
    );

    // A classifier's, and two runs together.
    await chooseSample(page, 'tiny-moods.jsonl');
    await at(page, 'report').filter({ hasText: 'tiny-moods' }).waitFor();
    await set(page, { 'train.max_steps': 4, 'eval.eval_steps': 2 });
    await at(page, 'start').click();
    await status(page, 'Finished');
    assert.match(await label('loss-chart'), /Step 4 of 4: Training \d.*; Validation \d/);
    assert.match(
      await label('runs-chart'),
      /run 1 up to step \d+: .* run 2 up to step 4: training .*; validation/,
    );
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  },
);

test('nothing moves for those who want less motion', async () => {
  const page = await open({ reducedMotion: 'reduce' });
  await openTiny(page);
  await go(page, 'try');
  await page.locator('#prompt').fill('Where is the cat?');
  await at(page, 'ask').click();
  await page.locator('article.base .answer').waitFor();
  const moving = () =>
    page.evaluate(() => document.getAnimations().map(({ animationName }) => animationName));
  assert.deepEqual(await moving(), []);
  await page.context().close();
});
