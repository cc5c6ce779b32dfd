/**
 * Makes an npm package of `dist-package`, which `vite build` and `tsc` have filled, and packs it:
 *
 *     npm run package      writes ../out/npm/loralet-<version>.tgz
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const dist = here('../dist-package');
const out = here('../../out/npm');
const { version, license } = JSON.parse(await readFile(here('../package.json'), 'utf8'));

/** Not those in comments, whose lines begin otherwise. */
const IMPORTS = /^(?:import|export)\b[^;]*? from ["']([^"']+)["']|^[^*]*\bimport\(["']([^"']+)["']\)/gm;

/** What of the types the two entries reach; `tsc` writes those of every file that it has read. */
async function keepReached(entries) {
  const types = join(dist, 'types');
  const reached = new Set();
  const visit = async (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    let text = await readFile(file, 'utf8');
    // Relative imports without an ending are unknown to Node.js' way of resolving modules.
    text = text.replaceAll(/(from |import\()(["'])(\.{1,2}\/[^"']+?)(?:\.js)?\2/g, '$1$2$3.js$2');
    await writeFile(file, text);
    for (const [, stated, inline] of text.matchAll(IMPORTS)) {
      const path = stated ?? inline;
      if (!path.startsWith('.'))
        throw new Error(`${file} imports ${path}, which users of the package do not have`);
      await visit(join(dirname(file), path.replace(/\.js$/, '.d.ts')));
    }
  };
  for (const entry of entries) await visit(join(types, entry));
  for (const entry of await readdir(types, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && !reached.has(file)) await rm(file);
  }
}

await keepReached(['package/loralet.d.ts', 'element/index.d.ts']);

const description = {
  name: 'loralet',
  version,
  description:
    'Fine-tunes small language models with LoRA inside a browser tab: an engine, and <loralet-trainer>.',
  keywords: ['lora', 'fine-tuning', 'webgpu', 'wasm', 'language-model', 'custom-element'],
  license,
  type: 'module',
  exports: {
    '.': { types: './types/package/loralet.d.ts', default: './index.js' },
    './element': { types: './types/element/index.d.ts', default: './element.js' },
    './custom-elements.json': './custom-elements.json',
    './package.json': './package.json',
  },
  types: './types/package/loralet.d.ts',
  customElements: 'custom-elements.json',
};
await writeFile(join(dist, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
await copyFile(here('README.md'), join(dist, 'README.md'));
await copyFile(here('custom-elements.json'), join(dist, 'custom-elements.json'));
for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) await copyFile(here(`../../${name}`), join(dist, name));

await mkdir(out, { recursive: true });
const packed = execFileSync('npm', ['pack', dist, '--pack-destination', out, '--json'], { encoding: 'utf8' });
const [{ filename, size }] = JSON.parse(packed);
console.log(`${join(out, filename)}, ${(size / 1e6).toFixed(1)} MB`);
