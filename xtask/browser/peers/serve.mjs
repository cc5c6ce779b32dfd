import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript' };

/** Lets a page see this folder as `/peers/`, and the peer's own package as `/peers/package/`. */
export function servePeer(page, { package: packageDir }) {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return page.route('**/peers/**', async (route) => {
    const path = normalize(new URL(route.request().url()).pathname.replace('/peers/', ''));
    const inPackage = path.startsWith('package/');
    const file = inPackage ? join(packageDir, path.slice('package/'.length)) : join(here, path);
    try {
      await route.fulfill({ body: await readFile(file), contentType: TYPES[extname(file)] });
    } catch {
      await route.fulfill({ status: 404 });
    }
  });
}
