/** What everyone needs of a page: nothing that axe finds, and nothing wider than the screen. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** axe finds nothing. Colours on their way from one scheme to another have any contrast, so that nothing may move meanwhile. */
export async function axeFindsNothing(page, state) {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.evaluate(AXE);
  const found = await page.evaluate(async (values) => {
    const { violations } = await globalThis.axe.run(document, { runOnly: { type: 'tag', values } });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.flat().join(' '))}`);
  }, TAGS);
  assert.deepEqual(found, [], `axe, ${state}`);
}

export async function fits(page, state) {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= screen, `${state}: ${wide} px wide on a screen of ${screen}`);
}
