/** What mends a data file: `data.fix` of the recipe, one click each. */
import type { Fix } from '../../engine/types.js';
import { recipe } from '../stores/recipe.js';

export const FIXES: Record<Fix, string> = {
  drop_duplicates: 'Leave out copies',
  drop_near_duplicates: 'Leave out near copies',
  drop_outliers: 'Leave out outliers',
  balance_labels: 'Thin out large classes',
  drop_other_languages: 'Leave out other languages',
  redact: 'Redact',
};

export function fixes(): Fix[] {
  return recipe.loaded ? recipe.value.data.fix : [];
}

/** The file is read again, and the report tells what the fix did. */
export function withFix(fix: Fix): void {
  recipe.set('data.fix', [...fixes(), fix]);
}

export function withoutFix(fix: Fix): void {
  recipe.set(
    'data.fix',
    fixes().filter((other) => other !== fix),
  );
}
