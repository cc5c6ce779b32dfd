/** What mends a data file: `data.fix` of the recipe, one click each. */
import type { Fix } from '../../engine/index.js';

export const FIXES: Record<Fix, string> = {
  drop_duplicates: 'Leave out copies',
  drop_near_duplicates: 'Leave out near copies',
  drop_outliers: 'Leave out outliers',
  balance_labels: 'Thin out large classes',
  drop_other_languages: 'Leave out other languages',
  redact: 'Redact',
};
