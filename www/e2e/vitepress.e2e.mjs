/** The example in VitePress, which is fetched for it: with `cargo xtask test --long`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { host, packed, temporaryFolder } from './host.mjs';
import { openPage, startBrowser } from './setup.mjs';

const EXAMPLES = fileURLToPath(new URL('../../examples/embed', import.meta.url));

test('a page of documentation trains', { timeout: 600_000 }, async () => {
  const { path, remove } = await temporaryFolder('vitepress');
  await cp(join(EXAMPLES, 'vitepress'), path, { recursive: true });
  await mkdir(join(path, 'public'), { recursive: true });
  await cp(join(EXAMPLES, 'goat.jsonl'), join(path, 'public/goat.jsonl'));
  const description = JSON.parse(await readFile(join(path, 'package.json'), 'utf8'));
  description.dependencies.loralet = `file:${await packed()}`;
  await writeFile(join(path, 'package.json'), JSON.stringify(description));
  const run = (program, ...given) => execFileSync(program, given, { cwd: path, stdio: 'pipe' });
  run('npm', 'install', '--no-audit', '--no-fund');
  run('npm', 'run', 'build');
  const served = await host(join(path, '.vitepress/dist'));
  const browser = await startBrowser();
  const page = await openPage(browser, served.url);
  const trainer = page.locator('loralet-trainer');
  await trainer.locator('[data-test=main]').click();
  await trainer.locator('[data-test=status]').filter({ hasText: 'Done: 60 steps' }).waitFor();
  assert.match(await trainer.evaluate((element) => element.ask('Who is Ozzy?')), /goat/i);
  assert.deepEqual(page.thrown, []);
  await browser.close();
  served.stop();
  await remove();
});
