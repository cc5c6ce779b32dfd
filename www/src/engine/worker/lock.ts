/**
 * Holds a Web Lock as long as this worker lives: no event tells the page that the browser has ended it, but the lock is free
 * then. Answers its name, or null where there are no locks.
 */
export function holdLock(): Promise<string | null> {
  const { locks } = navigator as { locks?: LockManager };
  if (!locks) return Promise.resolve(null);
  const name = `loralet worker ${crypto.randomUUID()}`;
  return new Promise((resolve) => {
    const forLife = () => {
      resolve(name);
      return new Promise<never>(() => undefined);
    };
    locks.request(name, forLife).catch(() => resolve(null));
  });
}
