/** One query, and the texts of the open data that the base model and the tuned one find nearest to it. */
import type { Neighbour } from '../../engine/types.js';
import { judges } from './compare.js';
import { model } from './model.js';
import { Store, sentence } from './store.js';
import { trainer } from './trainer.js';
import { training } from './training.js';

class SearchStore extends Store {
  base: Neighbour[] | null = null;
  tuned: Neighbour[] | null = null;
  /** The step that the adapter was at. */
  step: number | null = null;
  busy = false;
  error: string | null = null;

  async ask(query: string): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.error = null;
    this.base = null;
    this.tuned = null;
    this.changed();
    try {
      const client = await trainer.client();
      this.base = await client.search(query, false);
      this.changed();
      if (training.hasAdapter) {
        this.step = training.last?.step ?? null;
        this.tuned = await client.search(query, true);
      }
    } catch (error) {
      this.error = sentence(error);
    } finally {
      this.busy = false;
      this.changed();
    }
  }
}

/** Whether the open model is an encoder, which writes no text. */
export function isEncoder(): boolean {
  return model.open?.report.architecture === 'bert';
}

/** Whether texts are compared here instead of answered or judged. */
export function comparesTexts(): boolean {
  const objective = training.plan?.recipe.objective;
  return objective ? objective === 'contrastive' : isEncoder() && judges() === null;
}

export const search = new SearchStore();
