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
    const blobUrl = URL.createObjectURL(new Blob([await this.source], { type: 'text/javascript' }));
    const frame = await lockedFrame();
    const frameWindow = frame.contentWindow as (Window & { Worker: typeof Worker }) | null;
    if (!frameWindow) {
      frame.remove();
      throw new LoraletError('worker', 'the browser did not open the frame that the trainer runs in');
    }
    const worker = new frameWindow.Worker(blobUrl, { type: 'module' });
    return {
      worker,
      terminate() {
        worker.terminate();
        URL.revokeObjectURL(blobUrl);
        frame.remove();
      },
    };
  }
}

function lockedFrame(): Promise<HTMLIFrameElement> {
  const frame = document.createElement('iframe');
  frame.hidden = true;
  frame.title = 'Training worker';
  frame.srcdoc = `<meta http-equiv="Content-Security-Policy" content="${WORKER_POLICY}">`;
  return new Promise((resolve) => {
    frame.addEventListener('load', () => resolve(frame), { once: true });
    document.body.append(frame);
  });
}

async function compile(): Promise<WebAssembly.Module> {
  const response = await fetch(wasmUrl);
  if (!response.ok) throw notLoaded(wasmUrl, response.status);
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/wasm')) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) throw notLoaded(url, response.status);
  return response.text();
}

function notLoaded(url: string, status: number): LoraletError {
  const message = `the trainer (${url}) could not be loaded: the server answered ${status}`;
  return new LoraletError('refused', message, { key: url, args: { status: String(status) } });
}
