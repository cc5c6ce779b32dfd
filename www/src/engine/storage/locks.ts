/**
 * Which workspace writes which folder, by Web Locks: they end with the tab, however it ends.
 *
 * A browser that has none, or refuses them, grants every lock.
 */
import { LoraletError } from '../errors.js';

export type Release = () => void;

/** The locks of one workspace: what another holds, in another tab or in this one, is held elsewhere. */
export class Locks {
  /** Those that this workspace holds. */
  private readonly mine = new Set<string>();

  /** Workspaces with the same files have the same `prefix`, and nobody else has. */
  constructor(private readonly prefix: string) {}

  /** Takes a lock until it is released; null while another workspace, or this one, has it. */
  hold(name: string): Promise<Release | null> {
    const locks = lockManager();
    if (!locks) return Promise.resolve(() => undefined);
    return new Promise((resolve) => {
      const held = (lock: Lock | null) => {
        if (!lock) {
          resolve(null);
          return undefined;
        }
        this.mine.add(name);
        return new Promise<void>((release) => {
          resolve(() => {
            this.mine.delete(name);
            release();
          });
        });
      };
      locks.request(this.prefix + name, { ifAvailable: true }, held).catch(() => resolve(() => undefined));
    });
  }

  /** Does the work under the lock; throws `taken` while another workspace has it. */
  async holding<T>(name: string, taken: string, work: () => Promise<T>): Promise<T> {
    const release = await this.hold(name);
    if (!release) throw new LoraletError('in_use', taken, { key: name });
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Does the work under the lock, once it is free. */
  async inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const locks = lockManager();
    if (!locks) return work();
    let begun = false;
    const begin = () => {
      begun = true;
      return work();
    };
    try {
      return (await locks.request(this.prefix + name, begin)) as T;
    } catch (error) {
      if (begun) throw error;
      return work();
    }
  }

  /** What other workspaces hold of the locks whose names begin so; the rest of the names. */
  async heldElsewhere(beginning: string): Promise<Set<string>> {
    const snapshot = await lockManager()
      ?.query()
      .catch(() => null);
    const start = this.prefix + beginning;
    const names = (snapshot?.held ?? []).map(({ name }) => name ?? '');
    const theirs = names.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length));
    return new Set(theirs.filter((name) => !this.mine.has(beginning + name)));
  }

  /** Resolves once nobody has the lock. */
  async whenFree(name: string): Promise<void> {
    await lockManager()
      ?.request(this.prefix + name, { mode: 'shared' }, () => undefined)
      .catch(() => undefined);
  }
}

/** Only pages from a secure place have it. */
function lockManager(): LockManager | undefined {
  return (navigator as { locks?: LockManager }).locks;
}
