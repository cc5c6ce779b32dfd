/** Writes the service worker of a built page, which is named by what is in the page's files. */
import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';

const NAME = 'service-worker.js';
const SOURCE = new URL(NAME, import.meta.url);
/** What a server may make up as it is asked: `cargo xtask serve` lists the models that are on the machine. */
const MADE_UP = 'models/index.json';

/** Lists all files of `folder` with their sha256, as in the attribute `integrity`, and answers the version. */
export async function writeServiceWorker(folder) {
  const source = await readFile(SOURCE, 'utf8');
  const files = [];
  for (const path of await filesOf(folder)) {
    const sum = createHash('sha256').update(await readFile(join(folder, path)));
    files.push([path, path === MADE_UP ? null : `sha256-${sum.digest('base64')}`]);
  }
  const version = createHash('sha256')
    .update(source)
    .update(JSON.stringify(files))
    .digest('hex')
    .slice(0, 16);
  await writeFile(join(folder, NAME), `self.build = ${JSON.stringify({ version, files })};\n${source}`);
  return version;
}

/** A plugin for Vite. */
export function serviceWorker() {
  let folder = '';
  return {
    name: 'service-worker',
    apply: 'build',
    configResolved: ({ root, build }) => void (folder = resolve(root, build.outDir)),
    closeBundle: async () => void (await writeServiceWorker(folder)),
  };
}

async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => path !== NAME)
    .sort();
}
