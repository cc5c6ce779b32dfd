/** The checkpoints of one run on their way to storage: one after the other, and training goes on if one cannot be kept. */
import type { Checkpoints, Release, RunFiles, SavedRun } from '../../engine/index.js';
import { messageOf } from '../problem.js';

type Bytes = Uint8Array<ArrayBuffer>;

export class Keeper {
  /** The step of the latest checkpoint, in storage or, where that failed, in this tab. */
  savedStep = 0;
  /** Checkpoints on their way. */
  underWay = 0;
  /** Why the latest checkpoint is not in storage, to go on after a colon. */
  error: string | null = null;
  private latest: { run: SavedRun; checkpoint: Blob } | null = null;
  private saving: Promise<unknown>;

  /**
   * `key` is the run's folder, which is `held`. With its first checkpoint the runs of the keys `replaces` go, unless another
   * tab has them. `changed` is called after each save.
   */
  constructor(
    private readonly checkpoints: Checkpoints,
    readonly key: string,
    private readonly data: Bytes,
    private readonly held: Promise<Release | null>,
    private replaces: Promise<string[]>,
    private readonly changed: () => void,
  ) {
    this.saving = held;
  }

  save(run: SavedRun, checkpoint: Bytes): void {
    this.underWay += 1;
    this.saving = this.saving.then(async () => {
      try {
        await this.checkpoints.save(this.key, run, { data: this.data, checkpoint });
        this.latest = null;
        this.error = null;
        for (const key of await this.replaces) await this.checkpoints.delete(key).catch(() => undefined);
        this.replaces = Promise.resolve([]);
      } catch (error) {
        this.latest = { run, checkpoint: new Blob([checkpoint]) };
        this.error = messageOf(error);
      }
      this.savedStep = run.step;
      this.underWay -= 1;
      this.changed();
    });
  }

  /** The latest checkpoint, once all are kept; null if there is none. */
  async read(): Promise<(RunFiles & { run: SavedRun }) | null> {
    await this.saving;
    const { latest, data, key } = this;
    if (latest) {
      const checkpoint = new Uint8Array(await latest.checkpoint.arrayBuffer());
      return { run: latest.run, data, checkpoint };
    }
    const run = (await this.checkpoints.list()).runs.find((kept) => kept.key === key);
    return run ? { run, ...(await this.checkpoints.read(run)) } : null;
  }

  /** Leaves the run, once its checkpoints are kept, to whoever goes on with it; answers its key. */
  async close(): Promise<string> {
    await this.saving;
    (await this.held)?.();
    return this.key;
  }
}
