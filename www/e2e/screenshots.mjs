/**
 * Photographs the page in its main states, light and dark, wide and narrow, from a real run of SmolLM2.
 *
 *     npm run screenshots -- ../docs/screenshots
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { at, openPage, set, startBrowser, startServer, status } from './setup.mjs';

const out = process.argv[2] ?? '../docs/screenshots';
const STEPS = Number(process.env.STEPS ?? 40);
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

const server = await startServer();
const browser = await startBrowser();
await mkdir(out, { recursive: true });
const page = await openPage(browser, `${server.url}?device=cpu`);

await at(page, 'model-tiny').waitFor();
await photograph('start');

await at(page, 'model-smollm2').click();
await at(page, 'model-facts').waitFor({ timeout: 300_000 });
await at(page, 'sample-pirate.jsonl').click();
await at(page, 'report').waitFor();
await photograph('data', '#data');

await set(page, { 'train.max_steps': STEPS, 'eval.eval_steps': 8 });
await page.locator('[data-test="more-settings"]').evaluate((details) => (details.open = false));
await photograph('settings', '#settings');
await at(page, 'start').click();
await status(page, 'Finished', 1_800_000);
await page.locator('compare-section .chips button').first().click();
await page
  .locator('article.tuned[aria-busy=false]')
  .filter({ hasText: 'tokens/s' })
  .waitFor({ timeout: 300_000 });
await photograph('train', '#train');
await photograph('compare', '#compare');
await photograph('download', '#download');
await photograph('runs', '#runs');

await browser.close();
server.stop();

/** The window with the section at its top, in all four variants. */
async function photograph(name, section) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      if (section) await page.locator(section).evaluate((element) => element.scrollIntoView());
      else await page.evaluate(() => window.scrollTo(0, 0));
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`) });
    }
  }
}
