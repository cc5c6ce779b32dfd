/**
 * Photographs the studio's views, light and dark, wide and narrow, from a real run of SmolLM2.
 *
 *     npm run screenshots -- ../docs/screenshots
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { at, chooseSample, go, openPage, set, startBrowser, startServer, status } from './setup.mjs';

const out = process.argv[2] ?? '../docs/screenshots';
const STEPS = Number(process.env.STEPS ?? 40);
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

const server = await startServer();
const browser = await startBrowser();
await mkdir(out, { recursive: true });
const page = await openPage(browser, `${server.url}?device=cpu`);

await at(page, 'samples').waitFor();
await photograph('start');

await go(page, 'model');
await at(page, 'model-smollm2').click();
await at(page, 'model-facts').waitFor({ timeout: 300_000 });
await photograph('model', 'model');
await chooseSample(page, 'pirate.jsonl');
await at(page, 'report').waitFor();
await photograph('data', 'data');

await set(page, { 'train.max_steps': STEPS, 'eval.eval_steps': 8 });
await at(page, 'more-settings').evaluate((details) => (details.open = false));
await photograph('settings', 'train');
await at(page, 'start').click();
await at(page, 'dock-step')
  .filter({ hasText: `Step ${Math.ceil(STEPS / 2)}` })
  .waitFor({ timeout: 1_800_000 });
await photograph('training', 'train', 'loss-chart');
await status(page, 'Finished', 1_800_000);
await photograph('train', 'train', 'train-section');
await go(page, 'try');
await page.locator('compare-section .chips button').first().click();
await page
  .locator('article.tuned[aria-busy=false]')
  .filter({ hasText: 'tokens/s' })
  .waitFor({ timeout: 300_000 });
await photograph('try', 'try');
await at(page, 'worth-measure').click();
await at(page, 'worth-sentence').waitFor({ timeout: 1_800_000 });
await photograph('worth', 'try', 'worth-panel');
await go(page, 'export');
await at(page, 'files').waitFor();
await photograph('export', 'export');
await photograph('runs', 'runs');

await browser.close();
server.stop();

/** The window with a view in it, from its top or from the part that is named, in all four variants. */
async function photograph(name, view, part) {
  if (view) await go(page, view);
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      if (part) await page.locator(part).evaluate((element) => element.scrollIntoView());
      else await page.evaluate(() => window.scrollTo(0, 0));
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`) });
    }
  }
}
