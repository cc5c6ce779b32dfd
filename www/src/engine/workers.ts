/**
 * Starts the training worker without any access to the network.
 *
 * A worker that is loaded from an address is governed by that answer's headers, which a
 * static host cannot set. A worker made from a Blob inherits the policy of the document that
 * makes it instead, so it is made by an empty frame whose policy is `connect-src 'none'`.
 */
import wasmUrl from 'loralet-wasm/loralet_bg.wasm?url';
import workerUrl from './worker/worker.ts?worker&url';
import { LoraletError } from './errors.js';

const WORKER_POLICY =
  "default-src 'none'; script-src blob: 'wasm-unsafe-eval'; worker-src blob:; connect-src 'none'";

export interface Spawned {
  worker: Worker;
  terminate(): void;
}

/** Where an engine gets its workers and what they run. */
export interface Workers {
  /** The trainer's WebAssembly module, compiled once. */
  module(): Promise<WebAssembly.Module>;
  /** A worker that runs `worker/worker.ts`. */
  spawn(): Promise<Spawned>;
}

/** The workers of a page. */
export class BrowserWorkers implements Workers {
  private compiled: Promise<WebAssembly.Module> | undefined;
  private source: Promise<string> | undefined;

  /** `place` is where the frames go, each of which ends its worker when it leaves the page. */
  constructor(private readonly place: () => Node = () => document.body) {}

  module(): Promise<WebAssembly.Module> {
    this.compiled ??= compile().catch((error: unknown) => {
      this.compiled = undefined;
      throw error;
    });
    return this.compiled;
  }

  async spawn(): Promise<Spawned> {
    if (import.meta.env.DEV) {
      // Vite's development server hands out the worker's modules one by one, which a Blob cannot import.
      const worker = new Worker(workerUrl, { type: 'module' });
      return { worker, terminate: () => worker.terminate() };
    }
    this.source ??= fetchText(workerUrl);
    const text = await this.source;
    const frame = await lockedFrame(this.place());
    const inside = insideOf(frame);
    if (inside === 'closed') frame.remove();
    const url = blobUrl(inside === 'closed' ? asClassic(text) : text);
    const worker = inside === 'closed' ? new Worker(url) : new inside.Worker(url, { type: 'module' });
    return {
      worker,
      terminate() {
        worker.terminate();
        URL.revokeObjectURL(url);
        frame.remove();
      },
    };
  }
}

type Inside = Window & { Worker: typeof Worker };

/**
 * The window of the frame. In a sandbox without `allow-same-origin` every frame is a stranger, and closed, to this page, which
 * then makes the workers itself: they have its policy.
 */
function insideOf(frame: HTMLIFrameElement): Inside | 'closed' {
  const inside = frame.contentWindow as Inside | null;
  if (!inside) {
    frame.remove();
    throw new LoraletError('worker', 'the browser did not open the frame that the trainer runs in');
  }
  try {
    return typeof inside.Worker === 'function' ? inside : 'closed';
  } catch {
    return 'closed';
  }
}

/** A page without an origin may start scripts from a Blob, but no modules. The worker's module imports nothing. */
function asClassic(text: string): string {
  return text.replaceAll('import.meta.url', 'self.location.href');
}

function blobUrl(text: string): string {
  return URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
}

function lockedFrame(place: Node): Promise<HTMLIFrameElement> {
  const frame = document.createElement('iframe');
  frame.hidden = true;
  frame.title = 'Training worker';
  frame.srcdoc = `<meta http-equiv="Content-Security-Policy" content="${WORKER_POLICY}">`;
  return new Promise((resolve) => {
    frame.addEventListener('load', () => resolve(frame), { once: true });
    place.appendChild(frame);
  });
}

async function compile(): Promise<WebAssembly.Module> {
  const response = await get(wasmUrl);
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/wasm')) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

async function fetchText(url: string): Promise<string> {
  return (await get(url)).text();
}

async function get(url: string): Promise<Response> {
  const response = await fetch(url).catch(() => null);
  if (response?.ok) return response;
  const why = response ? `the server answered ${response.status}` : 'check the connection, and try again';
  const message = `the trainer (${url}) could not be loaded: ${why}`;
  const args = response ? { status: String(response.status) } : {};
  throw new LoraletError(response ? 'refused' : 'unreachable', message, { key: url, args });
}
