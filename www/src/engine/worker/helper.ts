/**
 * A second worker that computes a part of each large matrix product of the training worker, which copies the factors into
 * shared memory and the product out of it. `src/web/helper.rs` is the other side and says what lies where.
 */
import { micro_kernel_module, share_products } from 'loralet-wasm/loralet.js';

/** What a worker gets that is to help. */
export interface HelpRequest {
  type: 'help';
  kernel: Uint8Array<ArrayBuffer>;
  shared: SharedArrayBuffer;
}

/** Room for the factors and the product; of larger products the helper gets a smaller part. */
const SHARED_BYTES = 16 << 20;
const PAGE_BYTES = 65536;
const VALUES = 16;
/** How long the helper may take to come up. */
const LOADING_MS = 3000;

type MicroKernel = (
  k: number,
  a: number,
  b: number,
  c: number,
  rowStride: number,
  panels: number,
  accumulate: number,
) => void;

/** Starts this worker's own script once more, as its helper; null where the browser does not let workers share memory. */
export async function startHelper(): Promise<Worker | null> {
  if (!self.crossOriginIsolated || navigator.hardwareConcurrency < 2) return null;
  const kernel = new Uint8Array(micro_kernel_module());
  if (kernel.length === 0) return null;
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const worker = new Worker(self.location.href, { type: 'module' });
  const ready = await new Promise<boolean>((resolve) => {
    worker.onmessage = (message: MessageEvent<{ type: string }>) => {
      if (message.data.type === 'helping') resolve(true);
      else worker.postMessage({ type: 'help', kernel, shared } satisfies HelpRequest);
    };
    worker.onerror = () => resolve(false);
    setTimeout(() => resolve(false), LOADING_MS);
  });
  if (!ready) {
    worker.terminate();
    return null;
  }
  share_products(shared);
  return worker;
}

/** Computes whatever the shared memory asks for, until the worker is ended. */
export function help({ kernel, shared }: HelpRequest): never {
  const control = new Int32Array(shared);
  const values = new Float32Array(shared).subarray(VALUES);
  const memory = new WebAssembly.Memory({ initial: shared.byteLength / PAGE_BYTES });
  const own = new Float32Array(memory.buffer);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(kernel), { env: { memory } });
  const multiply = instance.exports.micro_kernel as MicroKernel;
  self.postMessage({ type: 'helping' });
  const at = (place: number) => control[place] ?? 0;
  for (;;) {
    Atomics.wait(control, 0, 0);
    const [rows, k, longestRun, columns] = [at(1), at(2), at(3), at(4)];
    const [newA, tileRows, tileColumns, accumulate] = [at(5), at(6), at(7), at(8)];
    const [forB, product] = [rows * k, rows * k + k * columns];
    const [from, end] = [newA ? 0 : forB, product + rows * columns];
    own.set(values.subarray(from, accumulate ? end : product), from);
    for (let first = 0; first < k; first += longestRun) {
      const depth = Math.min(longestRun, k - first);
      for (let column = 0; column < columns; column += tileColumns) {
        const [a, b, c] = [first * rows, forB + first * columns + column * depth, product + column];
        multiply(depth, 4 * a, 4 * b, 4 * c, columns, rows / tileRows, first > 0 ? 1 : accumulate);
      }
    }
    values.set(own.subarray(product, end), product);
    Atomics.store(control, 0, 0);
    Atomics.notify(control, 0);
  }
}
