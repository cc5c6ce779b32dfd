/** Pages of other people: the npm package, and a static server for whatever embeds it. */
import { execFile, execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const WWW = fileURLToPath(new URL('..', import.meta.url));
const OUT = fileURLToPath(new URL('../../out/npm/', import.meta.url));

/** What a careful host allows; nothing inline, nothing evaluated. */
export const STRICT = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "frame-src 'self'",
  "base-uri 'none'",
].join('; ');

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** Builds the package from the wasm that is there, and answers the path of its tarball. */
export async function packed() {
  await promisify(execFile)('npm', ['run', 'package'], { cwd: WWW });
  const [name] = (await readdir(OUT)).filter((file) => /^loralet-[\d.]+\.tgz$/.test(file)).sort();
  return join(OUT, name);
}

/** A folder of its own, gone with the tests. */
export async function temporaryFolder(name) {
  const path = await mkdtemp(join(tmpdir(), `loralet-${name}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export function unpack(tarball, into) {
  execFileSync('tar', ['xzf', tarball, '--strip-components=1', '-C', into]);
}

/** Serves a folder as a static host does: no headers but those given. `asked` lists what was asked for. */
export async function host(folder, headers = {}) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://host');
    asked.push(pathname);
    const inside = normalize(decodeURIComponent(pathname));
    const file = join(folder, inside.endsWith('/') ? `${inside}index.html` : inside);
    const found = await stat(file).catch(() => null);
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-length': found.size,
      ...headers,
    });
    if (request.method === 'HEAD') response.end();
    else createReadStream(file).pipe(response);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, asked, stop };
}
