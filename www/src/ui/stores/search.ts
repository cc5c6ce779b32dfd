/** One query, and the texts of the open data that the base model and the tuned one find nearest to it. */
import type { Neighbour } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';
import type { TrainingStore } from './training.js';

export class SearchStore extends Store {
  base: Neighbour[] | null = null;
  tuned: Neighbour[] | null = null;
  /** The step that the adapter was at. */
  step: number | null = null;
  busy = false;
  error: Problem | null = null;

  constructor(
    private readonly trainer: TrainerStore,
    private readonly training: TrainingStore,
  ) {
    super();
  }

  async ask(query: string): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.error = null;
    this.base = null;
    this.tuned = null;
    this.changed();
    try {
      const client = await this.trainer.client();
      this.base = await client.search(query, false);
      this.changed();
      if (this.training.hasAdapter) {
        this.step = this.training.last?.step ?? null;
        this.tuned = await client.search(query, true);
      }
    } catch (error) {
      this.error = problem(error);
    } finally {
      this.busy = false;
      this.changed();
    }
  }
}
