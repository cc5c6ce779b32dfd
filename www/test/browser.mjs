/**
 * What the stores take from a browser, for Node.js: a private file system, Web Locks, workers. The code under test is the
 * page's own, down to the trainer's WebAssembly.
 */
import { readFile, readdir } from 'node:fs/promises';
import { after } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Engine, WorkspaceStorage } from '../src/engine/index.js';
import { OpenNetwork } from '../src/ui/stores/network.js';
import { Workspace } from '../src/ui/workspace.js';

class FileHandle {
  kind = 'file';
  content = new Blob([]);
  constructor(name) {
    this.name = name;
  }
  async getFile() {
    return new File([this.content], this.name);
  }
  async createWritable() {
    const parts = [];
    return {
      write: async (part) => {
        if (disk.left !== null && (disk.left -= part.size ?? part.length) < 0)
          throw new DOMException('no room', 'QuotaExceededError');
        parts.push(part);
      },
      close: async () => (this.content = new Blob(parts)),
      abort: async () => undefined,
    };
  }
}

class DirectoryHandle {
  kind = 'directory';
  entries = new Map();
  constructor(name) {
    this.name = name;
  }
  async getDirectoryHandle(name, { create = false } = {}) {
    return this.get(name, DirectoryHandle, create);
  }
  async getFileHandle(name, { create = false } = {}) {
    return this.get(name, FileHandle, create);
  }
  async removeEntry(name, { recursive = false } = {}) {
    const entry = this.entries.get(name);
    if (!entry) throw new DOMException(name, 'NotFoundError');
    if (entry.entries?.size > 0 && !recursive) throw new DOMException(name, 'InvalidModificationError');
    this.entries.delete(name);
  }
  async *keys() {
    yield* [...this.entries.keys()];
  }
  async *values() {
    yield* [...this.entries.values()];
  }
  get(name, Kind, create) {
    const entry = this.entries.get(name);
    if (entry && !(entry instanceof Kind)) throw new DOMException(name, 'TypeMismatchError');
    if (!entry && !create) throw new DOMException(name, 'NotFoundError');
    if (!entry) this.entries.set(name, new Kind(name));
    return this.entries.get(name);
  }
}

/** The lock manager of one origin: https://w3c.github.io/web-locks/. */
class Locks {
  held = [];
  queue = [];

  request(name, options, work = options) {
    const { mode = 'exclusive', ifAvailable = false, signal } = options === work ? {} : options;
    return new Promise((resolve, reject) => {
      const ask = { name, mode, work, resolve, reject };
      if (ifAvailable && !this.isFree(ask)) {
        Promise.resolve(work(null)).then(resolve, reject);
        return;
      }
      signal?.addEventListener('abort', () => {
        this.queue = this.queue.filter((other) => other !== ask);
        reject(signal.reason);
      });
      this.queue.push(ask);
      this.grant();
    });
  }

  async query() {
    return { held: this.held.map(({ name, mode }) => ({ name, mode })), pending: [] };
  }

  isFree({ name, mode }) {
    const taken = this.held.filter((lock) => lock.name === name);
    return taken.length === 0 || (mode === 'shared' && taken.every((lock) => lock.mode === 'shared'));
  }

  grant() {
    for (const ask of [...this.queue]) {
      if (!this.isFree(ask)) continue;
      this.queue = this.queue.filter((other) => other !== ask);
      this.held.push(ask);
      Promise.resolve()
        .then(() => ask.work({ name: ask.name, mode: ask.mode }))
        .then(ask.resolve, ask.reject)
        .finally(() => {
          this.held = this.held.filter((other) => other !== ask);
          this.grant();
        });
    }
  }
}

/** Bytes that still fit; null for as many as one likes. */
export const disk = { left: null, root: new DirectoryHandle('') };

globalThis.FileSystemFileHandle = FileHandle;
Object.defineProperty(globalThis, 'navigator', {
  configurable: true,
  value: { storage: { getDirectory: async () => disk.root }, locks: new Locks(), hardwareConcurrency: 1 },
});

const PACKAGE = new URL('../../pkg/loralet_bg.wasm', import.meta.url);

/** They end with the tests of a file, also where one of them has failed. */
const threads = new Set();
after(() => Promise.all([...threads].map((thread) => thread.terminate())));

/** Worker threads in place of a page's workers. */
class ThreadWorkers {
  module() {
    return (this.compiled ??= readFile(PACKAGE).then((bytes) => WebAssembly.compile(bytes)));
  }

  async spawn() {
    const thread = new Worker(new URL('./trainer-thread.mjs', import.meta.url));
    threads.add(thread);
    let sent = Promise.resolve();
    const worker = {
      // Blobs do not cross between threads in a form that can be read at once, so their bytes do.
      postMessage: (message) => (sent = sent.then(async () => thread.postMessage(await withBytes(message)))),
    };
    thread.on('message', (data) => worker.onmessage({ data }));
    thread.on('error', ({ message }) => worker.onerror({ message }));
    return { worker, terminate: () => void thread.terminate() };
  }
}

async function withBytes(message) {
  if (message.type !== 'open_model') return message;
  const files = message.files.map(async ({ name, blob }) => ({ name, bytes: await blob.arrayBuffer() }));
  return { ...message, files: await Promise.all(files) };
}

const engine = new Engine(new ThreadWorkers());

/** A workspace whose trainer has started; `name` is that of its storage. */
export async function workspace(name = null) {
  const made = new Workspace({ engine, storage: new WorkspaceStorage(name), network: new OpenNetwork() });
  await made.start('cpu');
  return made;
}

/** Opens the bundled model as a person's folder. */
export async function openTiny(workspace) {
  const folder = new URL('../public/models/tiny/', import.meta.url);
  const files = (await readdir(folder)).map(async (name) => {
    const file = new File([await readFile(new URL(name, folder))], name);
    return Object.defineProperty(file, 'webkitRelativePath', { value: `tiny/${name}` });
  });
  await workspace.useModel(workspace.model.openLocal(await Promise.all(files)));
}

/** Resolves once the store says so. */
export function until(store, isTrue) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => end(reject, new Error(`it does not come to ${isTrue}`)), 30_000);
    const end = (settle, value) => {
      clearTimeout(late);
      unsubscribe();
      settle(value);
    };
    const look = () => isTrue() && end(resolve);
    const unsubscribe = store.subscribe(look);
    look();
  });
}

/** Rows that `tiny` can learn within some steps. */
export const CHATS = Array.from({ length: 24 }, (_, index) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: `Where is cat number ${index}?` },
      { role: 'assistant', content: 'The cat sleeps on the roof.' },
    ],
  }),
).join('\n');

export const bytes = (text) => new TextEncoder().encode(text);
