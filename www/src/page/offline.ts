/** Keeps the page on this device by a service worker (`offline/service-worker.js`), and notices newer versions. */
import { PageNetwork } from './network.js';

/** So long the lock of the network waits for the service worker, in milliseconds. */
const PATIENCE = 60_000;

/** The network of a page that is kept: it is locked once all files of the page are here. */
export class KeptNetwork extends PageNetwork {
  /** Whether a newer version of the page is here than the one that is shown. */
  isOutdated = false;
  private settled = false;
  private readonly kept: Promise<void>;

  constructor() {
    super();
    const late = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE));
    // A browser may refuse to keep anything, as in a private window; the page works as well.
    this.kept = Promise.race([this.keep().catch(() => undefined), late]).then(
      () => void (this.settled = true),
    );
  }

  /** Waits for the service worker's own requests, but keeps nobody waiting. */
  override async lock(): Promise<void> {
    if (this.settled) return super.lock();
    void this.kept.then(() => super.lock());
  }

  private async keep(): Promise<void> {
    if (import.meta.env.DEV || !('serviceWorker' in navigator)) return;
    const asked = navigator.serviceWorker.register('./service-worker.js', { updateViaCache: 'none' });
    // Tests switch registration off, and get nothing.
    const registration = (await asked) as ServiceWorkerRegistration | undefined;
    if (!registration) return;
    const follow = async () => {
      if (!(await installed(registration.installing))) return;
      this.isOutdated = await hasNewer(registration.scope);
      this.changed();
    };
    registration.addEventListener('updatefound', () => void follow());
    // Asked for now, while the network is open, and not at a time of the browser's choice.
    if (registration.active) await registration.update().catch(() => undefined);
    await follow();
  }
}

/** Whether there was a new worker, which has all files now; it gives up where one cannot be had. */
async function installed(worker: ServiceWorker | null): Promise<boolean> {
  if (!worker) return false;
  return new Promise((resolve) => {
    const look = () => {
      if (worker.state === 'activated' || worker.state === 'redundant') resolve(worker.state === 'activated');
    };
    worker.addEventListener('statechange', look);
    look();
  });
}

/** Whether the latest files that are kept are without this page's script, whose name changes with the build. */
async function hasNewer(scope: string): Promise<boolean> {
  const script = document.querySelector<HTMLScriptElement>('script[type=module][src]');
  const latest = (await caches.keys()).filter((name) => name.startsWith(`loralet ${scope} `)).at(-1);
  if (!script || latest === undefined) return false;
  return !(await caches.match(script.src, { cacheName: latest, ignoreVary: true }));
}
