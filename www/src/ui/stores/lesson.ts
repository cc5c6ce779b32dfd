/** Settings for a lesson on overfitting, and the way back. */
import type { RecipeStore } from './recipe.js';
import { Store } from './store.js';

/** Few rows, many epochs, a high rank; a rate that does not fall, and a validation every few steps to see it happen. */
const OVERFIT: Record<string, unknown> = {
  'data.max_rows': 24,
  'data.general_fraction': 0,
  'train.kl_to_base': 0,
  'train.epochs': 20,
  'train.max_steps': null,
  'train.batch_size': 4,
  'train.lr_scheduler_type': 'constant_with_warmup',
  'train.weight_decay': 0,
  'lora.rank': 64,
  'lora.alpha': 128,
  'lora.dropout': 0,
  'eval.validation_fraction': 0.4,
  'eval.eval_steps': 4,
  'eval.early_stopping_patience': null,
};
const LOWEST_RATE = 1e-3;

export class LessonStore extends Store {
  /** The settings that were changed, as they were. */
  before: Record<string, unknown> | null = null;

  constructor(private readonly recipe: RecipeStore) {
    super();
  }

  overfit(): void {
    const rate = Math.max(LOWEST_RATE, Number(this.recipe.get('train.learning_rate')));
    const settings = { ...OVERFIT, 'train.learning_rate': rate };
    this.before = Object.fromEntries(Object.keys(settings).map((path) => [path, this.recipe.get(path)]));
    this.use(settings);
  }

  undo(): void {
    const settings = this.before ?? {};
    this.before = null;
    this.use(settings);
  }

  private use(settings: Record<string, unknown>): void {
    for (const [path, value] of Object.entries(settings)) this.recipe.set(path, value);
    this.changed();
  }
}
