// On the web cubecl refuses an adapter without timestamp queries, although only its profiler, which nothing here uses, takes
// any. So an adapter that has none says that it had, and the device is asked for without.
const NAME = 'timestamp-query';

let done = false;

export function do_without_timestamps() {
  const prototype = globalThis.GPUAdapter?.prototype;
  if (done || !prototype) return;
  done = true;
  const features = Object.getOwnPropertyDescriptor(prototype, 'features').get;
  const { requestDevice } = prototype;
  Object.defineProperties(prototype, {
    features: {
      get() {
        const own = features.call(this);
        return own.has(NAME) ? own : new Set([...own, NAME]);
      },
    },
    requestDevice: {
      value(descriptor = {}) {
        const has = features.call(this).has(NAME);
        const requiredFeatures = [
          ...(descriptor.requiredFeatures ?? []),
        ].filter((name) => has || name !== NAME);
        return requestDevice.call(this, { ...descriptor, requiredFeatures });
      },
    },
  });
}
