/** Whether training was worth it: held-out rows answered by the base, by the base with examples, and by the tuned model. */
import { wasStopped, type Worth } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import type { RecipeStore } from './recipe.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';
import type { TrainingStore } from './training.js';

export class WorthStore extends Store {
  /** Held-out rows to ask. */
  rows = 12;
  /** Rows of the training split to put into a prompt. */
  examples = 4;
  result: Worth | null = null;
  /** The step that the adapter was at. */
  step: number | null = null;
  busy = false;
  progress: { done: number; total: number } | null = null;
  /** How the latest measurement ended, where it has no result. */
  stopped = false;
  error: Problem | null = null;
  private stop = new AbortController();

  constructor(
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly training: TrainingStore,
  ) {
    super();
  }

  change(changes: { rows?: number; examples?: number }): void {
    Object.assign(this, changes);
    this.changed();
  }

  /** Not while a run goes on: its adapter would be another one at each row. */
  async measure(): Promise<void> {
    if (this.busy || this.training.active) return;
    const { rows, examples } = this;
    this.clear();
    this.busy = true;
    this.stop = new AbortController();
    this.changed();
    const { signal } = this.stop;
    try {
      const client = await this.trainer.client();
      const step = this.training.hasAdapter ? (this.training.last?.step ?? null) : null;
      const onProgress = (done: number, total: number) => {
        this.progress = { done, total };
        this.changed();
      };
      this.result = await client.worth(this.recipe.value, { rows, examples }, { onProgress, signal });
      this.step = step;
    } catch (error) {
      if (wasStopped(error)) this.stopped = true;
      else this.error = problem(error);
    } finally {
      this.busy = false;
      this.progress = null;
      this.changed();
    }
  }

  /** Ends it with the rows that are done. */
  cancel(): void {
    this.stop.abort();
  }

  clear(): void {
    this.result = null;
    this.step = null;
    this.stopped = false;
    this.error = null;
    this.changed();
  }
}
