/**
 * A server laid out like the Hugging Face Hub. Every repository is the model `tiny`; most have a fault of their own,
 * which `heal` takes away.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';

const TINY = new URL('../public/models/tiny/', import.meta.url);
const GGUF = new URL('../../tests/fixtures/weights/f32.gguf', import.meta.url);
const WEIGHTS = 'model.safetensors';
const PAGE = '<!doctype html><html><body>Please sign in to this network.</body></html>';
/** More than two of the pieces in which the page keeps a download. */
const LARGE_BYTES = 20_000_000;

const tiny = new Map(readdirSync(TINY).map((name) => [name, readFileSync(new URL(name, TINY))]));
const large = new Map(tiny).set(WEIGHTS, padded(tiny.get(WEIGHTS), LARGE_BYTES, ' '));
const changed = new Map(tiny).set(WEIGHTS, padded(tiny.get(WEIGHTS), LARGE_BYTES, '\n'));
/** A name that needs encoding. */
export const AWKWARD = 'Größe 100% #1 a+b?.gguf';

/** The same model with a header of `size` more bytes. */
function padded(bytes, size, filler) {
  const length = Number(bytes.readBigUInt64LE());
  const header = Buffer.concat([bytes.subarray(8, 8 + length), Buffer.alloc(size, filler)]);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([start, header, bytes.subarray(8 + length)]);
}

export async function startHub() {
  const hub = new Hub();
  hub.noCors = await listen((request, response) =>
    hub.send(request, response, { body: 'mine', cors: false }),
  );
  hub.cdn = await listen((request, response) => hub.file(request, response, tiny, nameOf(request.url)));
  hub.main = await listen((request, response) => hub.answer(request, response));
  hub.url = address(hub.main);
  const closed = await listen(() => undefined);
  hub.nowhere = address(closed);
  closed.close();
  return hub;
}

class Hub {
  healed = false;
  /** `METHOD /path` and the range of each request. */
  requests = [];
  counts = new Map();

  /** From now on every repository answers as it should. */
  heal(healed = true) {
    this.healed = healed;
    this.counts.clear();
  }

  stop() {
    for (const server of [this.main, this.cdn, this.noCors]) {
      server.closeAllConnections();
      server.close();
    }
  }

  /** Counts how often `key` was asked for, from 1. */
  time(key) {
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    return this.counts.get(key);
  }

  send(request, response, { status = 200, headers = {}, body = '', cors = true, type } = {}) {
    const bytes = Buffer.from(body);
    response.writeHead(status, {
      ...(cors ? { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': EXPOSED } : {}),
      'Content-Type': type ?? 'application/octet-stream',
      'Content-Length': bytes.length,
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  answer(request, response) {
    this.requests.push({ method: request.method, path: request.url, range: request.headers.range ?? null });
    const { pathname } = new URL(request.url, 'http://hub');
    const listing = /^\/api\/models\/([^/]+\/[^/]+)\/tree\//.exec(pathname)?.[1];
    const repo = (listing ?? pathname.slice(1)).split('/').slice(0, 2).join('/');
    const fault = this.healed ? undefined : FAULTS[repo.split('/')[1]];
    if (listing) return fault?.listing?.(this, request, response) ?? this.list(request, response, repo);
    const files = filesOf(repo);
    const name = nameOf(pathname);
    return fault?.file?.(this, request, response, name, files) ?? this.file(request, response, files, name);
  }

  list(request, response, repo, sums = true) {
    const entries = [...filesOf(repo)].map(([path, bytes]) => ({
      type: 'file',
      path,
      size: bytes.length,
      oid: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
      ...(sums && path.endsWith('.safetensors')
        ? { lfs: { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length } }
        : {}),
    }));
    this.send(request, response, { body: JSON.stringify(entries), type: 'application/json' });
    return true;
  }

  file(request, response, files, name, { etag, cutAt } = {}) {
    const bytes = files.get(name);
    if (!bytes) return this.send(request, response, { status: 404, body: 'Entry not found' }) ?? true;
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers = { ETag: etag ?? `"${bytes.length}"`, 'Accept-Ranges': 'bytes' };
    if (start > 0) headers['Content-Range'] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    const status = start > 0 ? 206 : 200;
    if (cutAt === undefined) {
      this.send(request, response, { status, headers, body: bytes.subarray(start) });
      return true;
    }
    // Fewer bytes than announced, then the end of the connection.
    response.writeHead(status, {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Expose-Headers': EXPOSED,
      'Content-Length': bytes.length - start,
      ...headers,
    });
    response.write(bytes.subarray(start, start + cutAt), () => setTimeout(() => response.destroy(), 100));
    return true;
  }
}

const EXPOSED = 'ETag, Link, Content-Range, Retry-After, X-Error-Code';

const refuse = (status, headers = {}, body = 'no') => ({
  answer: (hub, request, response) => hub.send(request, response, { status, headers, body }) ?? true,
});
const onListing = ({ answer }) => ({ listing: answer });
const onFiles = ({ answer }) => ({ file: answer });
const onWeights = ({ answer }) => ({
  file: (hub, request, response, name) => (name === WEIGHTS ? answer(hub, request, response) : undefined),
});
const redirect = (to) => ({
  answer: (hub, request, response) =>
    hub.send(request, response, { status: 302, headers: { Location: `${to(hub)}${request.url}` } }) ?? true,
});
const busyFirst = (times, status, headers) => ({
  file: (hub, request, response, name) =>
    name === WEIGHTS && hub.time(request.url) <= times
      ? (hub.send(request, response, { status, headers: headers(), body: 'busy' }) ?? true)
      : undefined,
});
const webPage = (type, body) => ({
  answer: (hub, request, response) => hub.send(request, response, { body, type }) ?? true,
});

/** What each repository does wrong, by the second part of its name. */
const FAULTS = {
  redirects: onFiles(redirect((hub) => address(hub.cdn))),
  'redirects-without-cors': onFiles(redirect((hub) => address(hub.noCors))),
  'redirects-nowhere': onFiles(redirect((hub) => hub.nowhere)),
  'mirror-without-cors': onListing(redirect((hub) => address(hub.noCors))),
  'busy-seconds': busyFirst(2, 429, () => ({ 'Retry-After': '1' })),
  'busy-date': busyFirst(1, 503, () => ({ 'Retry-After': new Date(Date.now() + 3000).toUTCString() })),
  'busy-always': onWeights(refuse(429, { 'Retry-After': '1' })),
  'busy-long': onFiles(refuse(429, { 'Retry-After': '300' })),
  'busy-minute': onFiles(refuse(429, { 'Retry-After': '60' })),
  down: onListing(refuse(503, { 'Retry-After': '0' })),
  broken: onListing(refuse(500)),
  gated: onFiles(refuse(401, { 'X-Error-Code': 'GatedRepo' })),
  'gated-refused': onFiles(refuse(403, { 'X-Error-Code': 'GatedRepo' })),
  'gated-silent': onFiles(refuse(401)),
  private: onListing(refuse(403)),
  unknown: onListing(refuse(401, { 'X-Error-Code': 'RepoNotFound' }, 'Invalid username or password.')),
  missing: onListing(refuse(404, { 'X-Error-Code': 'RepoNotFound' })),
  'no-revision': onListing(refuse(404, { 'X-Error-Code': 'RevisionNotFound' })),
  'not-there': onWeights(refuse(404, { 'X-Error-Code': 'EntryNotFound' })),
  'page-listing': onListing(webPage('text/html; charset=utf-8', PAGE)),
  'not-a-hub': onListing(webPage('application/json', '{}')),
  page: onWeights(webPage('text/html', PAGE)),
  'page-large': onWeights(webPage('text/html', PAGE + 'Sign in. '.repeat(300_000))),
  'page-untyped': onWeights(webPage('application/octet-stream', PAGE)),
  cut: {
    file: (hub, request, response, name, files) =>
      name === WEIGHTS
        ? (hub.send(request, response, { body: files.get(name).subarray(0, -1000) }) ?? true)
        : undefined,
  },
  'too-long': {
    file: (hub, request, response, name, files) =>
      name === WEIGHTS
        ? (hub.send(request, response, { body: Buffer.concat([files.get(name), Buffer.alloc(1000)]) }) ??
          true)
        : undefined,
  },
  'other-content': {
    file: (hub, request, response, name, files) => {
      if (name !== WEIGHTS) return undefined;
      const bytes = Buffer.from(files.get(name));
      bytes[bytes.length - 1] ^= 1;
      hub.send(request, response, { body: bytes });
      return true;
    },
  },
  'large-breaks': {
    file: (hub, request, response, name, files) =>
      name === WEIGHTS && hub.time(request.url) === 1
        ? hub.file(request, response, files, name, { cutAt: 12_000_000 })
        : undefined,
  },
  'large-stops': {
    file: (hub, request, response, name, files) =>
      name === WEIGHTS ? hub.file(request, response, files, name, { cutAt: 100_000 }) : undefined,
  },
  // Never answers.
  silent: { file: (hub, request, response, name) => (name === WEIGHTS ? true : undefined) },
  // Breaks off, and is another file of the same size from then on, which its listing has no sums to tell by.
  'large-changes': {
    listing: (hub, request, response) => hub.list(request, response, 'cases/large-changes', false),
    file: (hub, request, response, name, files) => {
      if (name !== WEIGHTS) return undefined;
      return hub.time(request.url) === 1
        ? hub.file(request, response, files, name, { etag: '"before"', cutAt: 12_000_000 })
        : hub.file(request, response, changed, name, { etag: '"after"' });
    },
  },
  paged: {
    listing: (hub, request, response) => {
      const second = new URL(request.url, 'http://hub').searchParams.get('cursor') === 'two=2';
      const entries = [...tiny]
        .filter(([path]) => (path === WEIGHTS) === second)
        .map(([path, bytes]) => ({ type: 'file', path, size: bytes.length }));
      // As a mirror would, it names the Hub's own address.
      const next = '<https://huggingface.co/api/models/x/y/tree/main?cursor=two%3D2&limit=9>; rel="next"';
      hub.send(request, response, {
        body: JSON.stringify(entries),
        type: 'application/json',
        headers: second ? {} : { Link: next },
      });
      return true;
    },
  },
};

function filesOf(repo) {
  const name = repo.split('/')[1];
  if (name.startsWith('large')) return large;
  return name === 'awkward' ? new Map([[AWKWARD, readFileSync(GGUF)]]) : tiny;
}

/** The path of a file inside its repository. */
function nameOf(url) {
  const { pathname } = new URL(url, 'http://hub');
  return decodeURIComponent(/\/resolve\/[^/]+\/(.*)$/.exec(pathname)?.[1] ?? '');
}

async function listen(answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function address(server) {
  return `http://127.0.0.1:${server.address().port}`;
}
