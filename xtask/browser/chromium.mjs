/** Headless Chromium with a software WebGPU adapter, and a way to look into what a page asks of it. */
import { createRequire } from 'node:module';

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
];

/** `modules` is the folder of the page's npm packages. */
export function launchSoftware(modules, executablePath) {
  const { chromium } = createRequire(modules)('playwright-core');
  return chromium.launch({ executablePath, args: FLAGS });
}

/**
 * Runs a script in the training worker before the worker's own code. The page starts the worker from
 * its fetched text, so the text is where to put it.
 */
export function beforeWorker(page, script) {
  return rewrite(page, '**/assets/worker-*.js', async (response) => ({
    body: `${script};\n${await response.text()}`,
  }));
}

/** Answers what a page asks for as the server does, but for what `change` makes of the answer. */
export function rewrite(page, pattern, change) {
  return page.route(pattern, async (route) => {
    try {
      const response = await route.fetch();
      await route.fulfill({ response, ...(await change(response)) });
    } catch {
      // The page was left meanwhile; one that still waits for the answer fails by itself.
      await route.abort().catch(() => undefined);
    }
  });
}

/**
 * Bytes of the GPU buffers that live in the training worker, now and at most, where `countCalls` runs before its code. It is
 * the page's first worker; the one that helps it waits for work and answers nothing else.
 */
export async function bufferBytes(page) {
  const calls = await page.workers()[0]?.evaluate(() => globalThis.calls);
  return { bytes: calls?.bytes ?? 0, peakBytes: calls?.peakBytes ?? 0 };
}

/** Runs in a page or a worker: from now on `calls` counts what is asked of WebGPU. */
export function countCalls() {
  const calls = (globalThis.calls = { dispatches: 0, submits: 0, uploads: 0, bytes: 0, peakBytes: 0 });
  const wrap = (owner, method, seen) => {
    const original = owner?.prototype[method];
    if (!original) return;
    owner.prototype[method] = function (...args) {
      const result = original.apply(this, args);
      seen(result, this);
      return result;
    };
  };
  const count = (key) => () => (calls[key] += 1);
  wrap(globalThis.GPUComputePassEncoder, 'dispatchWorkgroups', count('dispatches'));
  wrap(globalThis.GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', count('dispatches'));
  wrap(globalThis.GPUQueue, 'submit', count('submits'));
  wrap(globalThis.GPUQueue, 'writeBuffer', count('uploads'));
  const live = new WeakSet();
  wrap(globalThis.GPUDevice, 'createBuffer', (buffer) => {
    live.add(buffer);
    calls.bytes += buffer.size;
    calls.peakBytes = Math.max(calls.peakBytes, calls.bytes);
  });
  wrap(globalThis.GPUBuffer, 'destroy', (_, buffer) => {
    // Destroying twice is allowed.
    if (live.delete(buffer)) calls.bytes -= buffer.size;
  });
}
