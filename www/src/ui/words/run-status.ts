/** How the run stands, as a sentence that is read out now and then, and in a few words. */
import type { StepReport } from '../../engine/index.js';
import type { TrainingStore } from '../stores/training.js';
import type { Workspace } from '../workspace.js';
import { duration } from './format.js';
import { Milestones } from './milestones.js';
import { sentence } from './sentence.js';

export class RunStatus {
  private readonly milestones = new Milestones();

  tell({ data, model, ratings, recipe, training }: Workspace): string {
    const step = training.last?.step ?? training.savedStep;
    if (training.state !== 'running') this.milestones.reset();
    if (ratings.waiting) return 'Waiting for your ratings of its answers.';
    const saving = training.savesUnderWay > 0 ? ' Saving the run …' : '';
    switch (training.state) {
      case 'idle':
        if (!model.open) return 'Choose a model and data first.';
        if (!data.open) return 'Choose data first.';
        return recipe.valid ? 'Ready.' : 'A setting needs correcting first.';
      case 'running':
        return this.progress(training);
      case 'pausing':
        return 'Pausing after this step …';
      case 'paused':
        if (step === 0) return 'Paused before the first step.';
        return `Paused at step ${step}${training.isKept ? '; a checkpoint is kept' : ''}.`;
      case 'stopping':
        return 'Stopping after this step …';
      case 'stopped':
        return `Stopped at step ${step}. The adapter is ready to try and to export.${saving}`;
      case 'finished':
        return `${finished(training.last)} Try it, then export it.${saving}`;
      case 'failed':
        return training.busy ? 'The trainer is being replaced …' : 'The run ended with an error.';
      default:
        return training.state satisfies never;
    }
  }

  /** Told now and then: a screen reader reads the status out whenever it changes. */
  private progress({ last, secondsLeft }: TrainingStore): string {
    if (!last) {
      this.milestones.reset();
      return 'Training: the first step is the slowest.';
    }
    const { step, total_steps: total } = last;
    const far = `Training: step ${step} of ${total}, about ${duration(secondsLeft)} left.`;
    return this.milestones.tell('training', step / total, far);
  }
}

/** "step 14 of 24", "paused at 14". */
export function runWord({ last, plan, savedStep, state }: TrainingStore): string {
  const step = last?.step ?? savedStep;
  switch (state) {
    case 'idle':
      return '';
    case 'running':
    case 'pausing':
    case 'stopping':
      return step > 0 ? `step ${step} of ${last?.total_steps ?? plan?.total_steps ?? '–'}` : 'first step …';
    case 'paused':
      return `paused at ${step}`;
    case 'stopped':
      return `stopped at ${step}`;
    case 'finished':
      return last && last.step < last.total_steps ? `done at ${step}` : 'finished';
    case 'failed':
      return 'failed';
    default:
      return state satisfies never;
  }
}

/** How the run ended. */
function finished(last: StepReport | null): string {
  const restored = last?.restored_step ?? null;
  if (last?.note) return sentence(last.note);
  if (!last || restored === null) return 'Finished.';
  const early = last.step < last.total_steps ? `Stopped early at step ${last.step}.` : 'Finished.';
  return restored === last.step
    ? `${early} The last validation was the best.`
    : `${early} The adapter is that of step ${restored}, where the validation loss was lowest.`;
}
