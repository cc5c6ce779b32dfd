/** How things stand in each view, in a few words, and which of them is to be looked at next. */
import { plural } from '../ui/words/format.js';
import { runWord } from '../ui/words/run-status.js';
import type { Workspace } from '../ui/workspace.js';
import type { ViewName } from './views.js';

export interface ViewState {
  /** Empty where there is nothing to say yet. */
  text: string;
  done: boolean;
}

export function viewStates(workspace: Workspace): Record<ViewName, ViewState> {
  const { compare, data, model, runs, search, training } = workspace;
  const settled = training.hasAdapter && !training.active;
  return {
    data: { text: dataState(workspace), done: data.open !== null },
    model: { text: modelState(workspace), done: model.open !== null && model.busy === null },
    train: { text: trainState(workspace), done: training.state === 'finished' },
    try: {
      text: training.hasAdapter ? 'base and tuned' : model.open ? 'base only' : '',
      done: compare.tuned.report !== null || search.tuned !== null,
    },
    runs: { text: runs.records.length > 0 ? plural(runs.records.length, 'run') : '', done: false },
    export: { text: settled ? 'ready' : '', done: false },
  };
}

/** The one thing that a person who wants a tuned model does next; null while there is only to wait. */
export function nextView({ compare, data, model, search, training }: Workspace): ViewName | null {
  if (data.busy || model.busy) return null;
  if (!data.open && !data.waiting) return 'data';
  if (!model.open) return 'model';
  if (!data.open) return 'data';
  if (training.active) return null;
  if (!training.hasAdapter || training.state === 'paused') return 'train';
  return (compare.tuned.report ?? search.tuned) ? 'export' : 'try';
}

function dataState({ data }: Workspace): string {
  if (data.busy) return 'reading …';
  if (data.open) return plural(data.open.summary.report.rows, 'row');
  if (data.waiting) return 'waits for a model';
  return data.error ? 'not readable' : '';
}

function modelState({ model }: Workspace): string {
  if (model.busy) return 'opening …';
  if (model.open) return model.open.label.split(',')[0] ?? '';
  return model.error ? 'did not open' : '';
}

function trainState({ data, model, recipe, training }: Workspace): string {
  if (training.plan) return runWord(training);
  if (training.state === 'failed') return 'failed';
  if (!data.open || !model.open) return '';
  return recipe.valid ? 'ready' : 'a setting is wrong';
}
