/** The text that forgetting is measured by, where the user has brought some. */
import type { ProbeSummary } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';

export class ProbeStore extends Store {
  open: { name: string; bytes: Uint8Array<ArrayBuffer>; summary: ProbeSummary } | null = null;
  error: Problem | null = null;

  constructor(private readonly trainer: TrainerStore) {
    super();
  }

  async openFile(file: File): Promise<void> {
    await this.read(file.name, new Uint8Array(await file.arrayBuffer()));
  }

  async close(): Promise<void> {
    await (await this.trainer.client()).closeProbe();
    this.open = null;
    this.error = null;
    this.changed();
  }

  /** Hands the file to a new trainer. */
  async reopen(): Promise<void> {
    if (this.open) await this.read(this.open.name, this.open.bytes);
  }

  private async read(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.error = null;
    try {
      const summary = await (await this.trainer.client()).openProbe(name, bytes);
      this.open = { name, bytes, summary };
    } catch (error) {
      // The trainer keeps what it had; so does the page.
      this.error = problem(error);
    }
    this.changed();
  }
}
