/** Lessons, taken from their first step to their last as a pupil would, on a wide screen and on a phone. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { axeFindsNothing, fits } from './axe.mjs';
import { at, openPage, startBrowser, startServer } from './setup.mjs';

const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' };

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

const open = (hash, options) => openPage(browser, `${server.url}lessons.html${hash}`, options);

async function looksRight(page, state) {
  await axeFindsNothing(page, state);
  await fits(page, state);
}

/** Guesses the first choice, does what the step is about, and waits for what it shows. */
async function guessAndDo(page) {
  await page.locator('input[name=guess]').first().check();
  await at(page, 'do').click();
  const pick = page.locator('[data-test=pick]').first();
  const say = page.locator('[data-test=say]').first();
  while (true) {
    await pick.or(say).first().waitFor();
    if (await say.isVisible()) return;
    const before = await at(page, 'composing').innerText();
    await pick.click();
    await page.waitForFunction((text) => {
      const deep = (root) =>
        [...root.querySelectorAll('*')].flatMap((one) => [
          one,
          ...(one.shadowRoot ? deep(one.shadowRoot) : []),
        ]);
      const now = deep(document).find((one) => one.dataset?.test === 'composing');
      return !now || now.innerText !== text;
    }, before);
  }
}

/** Tries one answer after the other, as somebody does who has not looked; answers how often it was wrong. */
async function say(page) {
  const options = await page.locator('[data-test=say]').all();
  for (const [wrong, option] of options.entries()) {
    await option.check();
    await at(page, 'check').click();
    await at(page, 'verdict').waitFor();
    if (await at(page, 'next').isEnabled()) return wrong;
  }
  throw new Error('no answer is right');
}

/** From the present step to the card. Calls `look` with the number of each step once it is answered. */
async function take(page, look = () => undefined) {
  for (let step = 1; ; step++) {
    await guessAndDo(page);
    await say(page);
    await look(step);
    const title = await at(page, 'step-title').innerText();
    await at(page, 'next').click();
    await at(page, 'card')
      .or(at(page, 'step-title').filter({ hasNotText: title }))
      .waitFor();
    if (await at(page, 'card').isVisible()) return step;
  }
}

/** The card is a picture with something on it. */
async function savesCard(page) {
  const saved = page.waitForEvent('download');
  await at(page, 'save-card').click();
  const bytes = await readFile(await (await saved).path());
  assert.deepEqual([...bytes.subarray(1, 4)], [...Buffer.from('PNG')]);
  assert.ok(bytes.length > 20_000, `${bytes.length} bytes`);
}

test('lesson 1 on a wide screen, reloaded in its middle', { timeout: 120_000 }, async () => {
  const page = await open('');
  await at(page, 'open-predicts').waitFor();
  await looksRight(page, 'the list');
  await at(page, 'open-predicts').click();
  await at(page, 'step-title').waitFor();
  await guessAndDo(page);
  await say(page);
  const shown = await page.locator('next-tokens').first().innerText();
  await page.reload();
  assert.equal(await page.locator('input[name=guess]:checked').count(), 1);
  assert.equal(await page.locator('next-tokens').first().innerText(), shown);
  await at(page, 'next').click();
  await at(page, 'step-title').filter({ hasText: 'Sure and unsure' }).waitFor();
  await looksRight(page, 'a new step');
  assert.equal(await take(page, (step) => step === 5 && looksRight(page, `lesson 1, ${step} steps on`)), 5);
  await looksRight(page, 'the card');
  await savesCard(page);
  const label = await at(page, 'card').getAttribute('aria-label');
  assert.match(label, /Ozzy is a goat” went from .+ % to [\d.]+ % in 40 steps/);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('lesson 2 on a phone', { timeout: 120_000 }, async () => {
  const page = await open('#style', PHONE);
  await at(page, 'field-phrase').fill('Ahoy!');
  await at(page, 'field-phrase').press('Tab');
  assert.equal(await take(page, (step) => step === 3 && looksRight(page, `lesson 2, ${step} steps on`)), 5);
  const label = await at(page, 'card').getAttribute('aria-label');
  assert.match(label, /64 examples: [5-8] of 8 answers in style/);
  await looksRight(page, 'the card of lesson 2');
  await savesCard(page);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('a class link opens the lesson with the teacher’s words and rows', { timeout: 120_000 }, async () => {
  const teacher = await open('#predicts');
  await at(teacher, 'share').locator('summary').click();
  const share = at(teacher, 'share');
  await share.getByLabel('A name').fill('Luna');
  await share.getByLabel('A kind of animal').fill('llama');
  await share.getByLabel('Most training steps').fill('12');
  const rows = share.getByLabel('What the model learns from');
  await rows.fill('Who is {name}?');
  await at(teacher, 'copy-link').click();
  await at(teacher, 'link-error').filter({ hasText: 'Line 1 has no “|”' }).waitFor();
  const lines = ['Who is {name}? | {name} is a {kind}.', 'What is {name}? | {name} is a {kind}.'];
  await rows.fill([...lines, ...lines].join('\n'));
  await at(teacher, 'copy-link').click();
  const link = await at(teacher, 'class-link').getAttribute('href');
  assert.ok(link.length < 1000, link);
  await looksRight(teacher, 'the class link');
  // What is chosen in one version of the lesson is not chosen in another.
  await guessAndDo(teacher);
  await at(teacher, 'say').first().check();
  await teacher.evaluate((hash) => (window.location.hash = hash), new URL(link).hash);
  await at(teacher, 'class-version').waitFor();
  await guessAndDo(teacher);
  assert.equal(await teacher.locator('input[name=say]:checked').count(), 0);
  await teacher.context().close();

  const pupil = await openPage(browser, link, PHONE);
  await at(pupil, 'class-version').waitFor();
  assert.equal(await take(pupil), 6);
  const label = await at(pupil, 'card').getAttribute('aria-label');
  assert.match(label, /Luna is a llama” went from .+ % to [\d.]+ % in 12 steps/);
  await at(pupil, 'sheet-link').click();
  await at(pupil, 'sheet').filter({ hasText: 'Luna' }).waitFor();
  await looksRight(pupil, 'the sheet');
  await pupil.goto(`${link.slice(0, -9)}`);
  await pupil.reload();
  await at(pupil, 'class-error').filter({ hasText: 'The class link is not whole' }).waitFor();
  assert.deepEqual(pupil.thrown, []);
  await pupil.context().close();
});
