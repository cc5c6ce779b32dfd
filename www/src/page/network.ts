/**
 * The page's own network: open until a model is there, then locked for good.
 *
 * A policy that is added to a document can only tighten it, so only a reload unlocks.
 */
import { NetworkPolicy } from '../ui/stores/network.js';

const LOCKED_POLICY = [
  "default-src 'none'",
  "connect-src 'none'",
  "form-action 'none'",
  "style-src 'self' 'unsafe-inline'",
  "script-src blob: 'wasm-unsafe-eval'",
  'worker-src blob:',
  'img-src data:',
].join('; ');

export class PageNetwork extends NetworkPolicy {
  /** Tightens the policy, and says "locked" only after a request has in fact been refused. */
  override async lock(): Promise<void> {
    if (this.state === 'locked' || import.meta.env.DEV) return;
    const meta = document.createElement('meta');
    meta.httpEquiv = 'Content-Security-Policy';
    meta.content = LOCKED_POLICY;
    document.head.append(meta);
    const refused = await fetch('./', { method: 'HEAD', cache: 'no-store' }).then(
      () => false,
      () => true,
    );
    if (refused) this.state = 'locked';
    this.changed();
  }

  /** Reloads the page with the network open. */
  override unlock(then?: string): void {
    if (then) sessionStorage.setItem('open-model', then);
    location.reload();
  }

  /** What was asked for before the reload. */
  takePending(): string | null {
    const name = sessionStorage.getItem('open-model');
    sessionStorage.removeItem('open-model');
    return name;
  }
}
