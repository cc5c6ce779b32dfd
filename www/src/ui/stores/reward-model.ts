/** The reward model that GRPO's answers are rewarded by: a file of the user's, or one that was trained here. */
import type { AdapterFile } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';

export class RewardModelStore extends Store {
  open: { name: string; files: AdapterFile[] } | null = null;
  error: Problem | null = null;

  constructor(private readonly trainer: TrainerStore) {
    super();
  }

  /** A zip, or the files of an adapter's folder. */
  async openFiles(files: File[]): Promise<void> {
    const read = files.map(async (file) => ({
      name: file.name,
      bytes: new Uint8Array(await file.arrayBuffer()),
    }));
    await this.use(
      files.length === 1 ? (files[0]?.name ?? '') : 'an adapter folder',
      await Promise.all(read),
    );
  }

  /** The one that has just been trained. */
  async keepTrained(): Promise<void> {
    await this.use('the reward model trained here', await (await this.trainer.client()).adapterFiles());
  }

  async close(): Promise<void> {
    await (await this.trainer.client()).closeRewardModel();
    this.forget();
  }

  /** Another model is open, whose trainer has none. */
  forget(): void {
    this.open = null;
    this.error = null;
    this.changed();
  }

  /** Hands it to a new trainer. */
  async reopen(): Promise<void> {
    if (this.open) await this.use(this.open.name, this.open.files);
  }

  private async use(name: string, files: AdapterFile[]): Promise<void> {
    this.error = null;
    try {
      await (await this.trainer.client()).openRewardModel(files);
      this.open = { name, files };
    } catch (error) {
      // The trainer keeps what it had; so does the page.
      this.error = problem(error);
    }
    this.changed();
  }
}
