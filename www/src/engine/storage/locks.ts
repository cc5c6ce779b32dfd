/**
 * Which tab of the page writes which folder, by Web Locks: they end with the tab, however it ends.
 *
 * A browser that has none, or refuses them, grants every lock.
 */
export type Release = () => void;

/** Those of this tab. */
const mine = new Set<string>();

/** Takes a lock until it is released; null while another tab, or this one, has it. */
export function hold(name: string): Promise<Release | null> {
  const locks = lockManager();
  if (!locks) return Promise.resolve(() => undefined);
  return new Promise((resolve) => {
    const held = (lock: Lock | null) => {
      if (!lock) {
        resolve(null);
        return undefined;
      }
      mine.add(name);
      return new Promise<void>((release) => {
        resolve(() => {
          mine.delete(name);
          release();
        });
      });
    };
    locks.request(name, { ifAvailable: true }, held).catch(() => resolve(() => undefined));
  });
}

/** Does the work under the lock; throws `taken` while another tab has it. */
export async function holding<T>(name: string, taken: string, work: () => Promise<T>): Promise<T> {
  const release = await hold(name);
  if (!release) throw new Error(taken);
  try {
    return await work();
  } finally {
    release();
  }
}

/** Does the work under the lock, once it is free. */
export async function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = lockManager();
  if (!locks) return work();
  let begun = false;
  const begin = () => {
    begun = true;
    return work();
  };
  try {
    return (await locks.request(name, begin)) as T;
  } catch (error) {
    if (begun) throw error;
    return work();
  }
}

/** Names that other tabs hold. */
export async function heldElsewhere(): Promise<Set<string>> {
  const held =
    (
      await lockManager()
        ?.query()
        .catch(() => null)
    )?.held ?? [];
  return new Set(held.map(({ name }) => name ?? '').filter((name) => !mine.has(name)));
}

/** Resolves once nobody has the lock. */
export async function whenFree(name: string): Promise<void> {
  await lockManager()
    ?.request(name, { mode: 'shared' }, () => undefined)
    .catch(() => undefined);
}

/** Only pages from a secure place have it. */
function lockManager(): LockManager | undefined {
  return (navigator as { locks?: LockManager }).locks;
}
