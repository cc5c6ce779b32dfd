/**
 * Keeps the page and the lessons on this device, so that they open without a network. The build writes the list of their files,
 * `self.build`, in front of this text, and a browser takes a list that has changed for a new version.
 *
 * It asks for files of that list and for what a page of this site asks for, and for nothing else. It has no way to learn what
 * a page knows: it hears no messages, and a page that has locked its network is refused by its own policy before it is asked.
 *
 * - Pages, and other files whose name does not change with their content, come from the host where it can be reached, so that
 *   nobody sees an old page while there is a newer one.
 * - What lies in `assets/` is named by its content, and comes from here.
 * - Everything else, other hosts above all, is not touched.
 */
const { version, files } = self.build;
const SCOPE = self.registration.scope;
/** Sites on one origin share their caches. */
const PREFIX = `loralet ${SCOPE} `;
const NAME = PREFIX + version;
const PATHS = new Set(files.map(([path]) => path));
/** So long a host may take to begin its answer, in milliseconds, before it counts as not to be reached. */
const PATIENCE = 8000;

self.addEventListener('install', (event) => event.waitUntil(keepFiles().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(dropOld().then(() => self.clients.claim())));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const path = pathOf(request);
  if (path === null) return;
  if (path.startsWith('assets/')) event.respondWith(asset(request));
  else if (request.mode === 'navigate') event.respondWith(latest(request, path).then(isolated));
  else event.respondWith(latest(request, path));
});

/** The request's file, relative to this one; null where the request is none of ours. */
function pathOf({ method, url, headers }) {
  if (method !== 'GET' || headers.has('range') || !url.startsWith(SCOPE)) return null;
  const path = url.slice(SCOPE.length).replace(/[?#].*$/, '') || 'index.html';
  // Some hosts leave the ending away.
  const found = [path, `${path}.html`].find((name) => PATHS.has(name));
  return found ?? (path.startsWith('assets/') ? path : null);
}

/** Fetches all files; one that is not the list's, as in the middle of an upload, leaves everything as it was. */
async function keepFiles() {
  await caches.delete(NAME);
  const before = await versions();
  const cache = await caches.open(NAME);
  try {
    for (const [path, integrity] of files) {
      const url = new URL(path, SCOPE).href;
      const known = path.startsWith('assets/') ? await find(url, before) : undefined;
      await cache.put(url, known ?? (await fetched(url, integrity)));
    }
  } catch (error) {
    await caches.delete(NAME);
    throw error;
  }
}

async function fetched(url, integrity) {
  const response = await fetch(url, { cache: 'no-cache', priority: 'low', ...(integrity && { integrity }) });
  if (!response.ok) throw new Error(`${url}: the server answered ${response.status}`);
  return response;
}

/** The version before stays: a tab that was opened with it may still ask for a part of it. */
async function dropOld() {
  const others = (await versions()).filter((name) => name !== NAME);
  await Promise.all(others.slice(0, -1).map((name) => caches.delete(name)));
}

/** The names of the caches of this site, the oldest first. */
async function versions() {
  return (await caches.keys()).filter((name) => name.startsWith(PREFIX));
}

async function find(url, names) {
  for (const cacheName of names.toReversed()) {
    const found = await caches.match(url, { cacheName, ignoreVary: true });
    if (found) return found;
  }
  return undefined;
}

async function asset(request) {
  const url = request.url.replace(/[?#].*$/, '');
  return (await find(url, await versions())) ?? fetch(request);
}

/** What the host says now, and what is kept here where it cannot be reached. */
async function latest(request, path) {
  const answer = await answered(request);
  if (answer && answer.status < 500) return answer;
  const kept = await find(new URL(path, SCOPE).href, [NAME]);
  return kept ?? answer ?? Response.error();
}

/** Undefined where nobody answers. */
async function answered(request) {
  const waited = new AbortController();
  const timer = setTimeout(() => waited.abort(), PATIENCE);
  try {
    return await fetch(request, { cache: 'no-cache', signal: waited.signal });
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** With the headers by which a page may share memory with its workers, for hosts that cannot send them. */
function isolated(response) {
  if (response.type === 'opaqueredirect' || response.type === 'error') return response;
  const headers = new Headers(response.headers);
  const add = (name, value) => headers.has(name) || headers.set(name, value);
  add('Cross-Origin-Opener-Policy', 'same-origin');
  add('Cross-Origin-Embedder-Policy', 'require-corp');
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
