/**
 * Photographs `<loralet-trainer>` after a run of `tiny`, light and dark, wide and narrow.
 *
 *     node e2e/element-screenshots.mjs ../docs/screenshots
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WWW, host, packed, temporaryFolder, unpack } from './host.mjs';
import { openPage, startBrowser } from './setup.mjs';

const out = process.argv[2] ?? '../docs/screenshots';
const SIZES = { desktop: 800, phone: 320 };

const { path, remove } = await temporaryFolder('screenshots');
await mkdir(join(path, 'loralet'));
unpack(await packed(), join(path, 'loralet'));
await cp(join(WWW, 'public/samples/newcomer.jsonl'), join(path, 'goat.jsonl'));
await writeFile(
  join(path, 'index.html'),
  `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1">
  <style>:root { color-scheme: light dark; font-family: system-ui, sans-serif; }</style>
  <script type="module" src="./loralet/element.js"></script>
  <loralet-trainer model="tiny" data="./goat.jsonl" device="cpu" prompts='["Who is Ozzy?", "Where does Ozzy live?", "Who is Pip?"]'
    recipe='{"train": {"max_steps": 40, "learning_rate": 0.002}, "eval": {"eval_steps": 8}}'></loralet-trainer>`,
);
const served = await host(path);
const browser = await startBrowser();
const page = await openPage(browser, served.url, { deviceScaleFactor: 2 });
const trainer = page.locator('loralet-trainer');
await trainer.locator('[data-test=main]').click();
await trainer.locator('[data-test=status]').filter({ hasText: 'Done' }).waitFor();
await trainer.getByRole('button', { name: 'Who is Ozzy?' }).click();
await trainer.locator('article.tuned[aria-busy=false] [part=answer]').waitFor();
await page.mouse.move(0, 0);
for (const [size, width] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.waitForTimeout(300);
    await trainer.screenshot({ path: join(out, `element-${size}-${colorScheme}.png`) });
  }
}
await browser.close();
served.stop();
await remove();
