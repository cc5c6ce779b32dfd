/** The training worker in a worker thread: what it takes from a browser's worker is here, the rest is the page's own. */
import { parentPort } from 'node:worker_threads';

/** A Blob whose bytes are at hand. */
class BytesBlob extends Blob {
  constructor(bytes) {
    super([bytes]);
    this.bytes = bytes;
  }
  slice(start, end) {
    return new BytesBlob(this.bytes.slice(start, end));
  }
}

globalThis.FileReaderSync = class {
  readAsArrayBuffer(blob) {
    return blob.bytes;
  }
};
globalThis.self = globalThis;
globalThis.crossOriginIsolated = false;
globalThis.postMessage = (message, { transfer = [] } = {}) => parentPort.postMessage(message, transfer);
Object.defineProperty(globalThis, 'navigator', { configurable: true, value: { hardwareConcurrency: 1 } });

await import('../src/engine/worker/worker.js');

parentPort.on('message', (message) => {
  const files = message.files?.map(({ name, bytes }) =>
    message.type === 'open_model' ? { name, blob: new BytesBlob(bytes) } : { name, bytes },
  );
  self.onmessage({ data: files ? { ...message, files } : message });
});
