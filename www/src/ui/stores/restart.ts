/** One trainer in place of another: on the device that was chosen, or after it broke. Model and data go with it. */
import type { DeviceChoice, LoraletError } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { sentence } from '../words/sentence.js';
import type { DataStore } from './data.js';
import type { ModelStore, OpenModel } from './model.js';
import type { ProbeStore } from './probe.js';
import type { RecipeStore } from './recipe.js';
import type { RewardModelStore } from './reward-model.js';
import type { TrainerStore } from './trainer.js';
import type { TrainingStore } from './training.js';

/** Trainers that break one after the other within so many milliseconds have the same reason. */
const SOON = 60_000;

/** What goes over to the next trainer. */
interface Stores {
  trainer: TrainerStore;
  recipe: RecipeStore;
  model: ModelStore;
  data: DataStore;
  probe: ProbeStore;
  rewardModel: RewardModelStore;
  training: TrainingStore;
}

export class Restart {
  private turn: Promise<void> = Promise.resolve();
  private breaks: number[] = [];

  constructor(private readonly stores: Stores) {}

  /** Goes over to the device in the settings; if it cannot be had, or the model not read again, everything stays as it is. */
  changeDevice(): Promise<void> {
    const { trainer, recipe, model, training } = this.stores;
    return this.inTurn(async () => {
      const [before, wanted] = [trainer.choice, recipe.value.device];
      if (wanted === before) return;
      await model.settled();
      const unreadable = await model.unreadable();
      if (unreadable) {
        recipe.putDevice(before);
        trainer.say({
          ...problem(unreadable),
          text: sentence(`the device stays as it is: ${unreadable.message}`),
        });
        return;
      }
      await training.reset();
      await training.whileReplaced(async () => {
        const { open } = model;
        const failure = await this.start(wanted, open);
        if (failure === null) return;
        recipe.putDevice(before);
        await this.start(before, open);
        trainer.say(failure);
      });
      await training.findSaved();
    });
  }

  /** After the trainer broke: another one, on the processor if it breaks again. */
  recover(error: LoraletError): Promise<void> {
    const { trainer, recipe, model, training } = this.stores;
    const { starts } = trainer;
    return this.inTurn(async () => {
      // Another has taken its place meanwhile.
      if (trainer.starts !== starts) return;
      await training.recover(error, async () => {
        this.breaks = [...this.breaks.filter((time) => time > Date.now() - SOON), Date.now()];
        if (this.breaks.length > 2) return null;
        await model.settled();
        const { open } = model;
        if (this.breaks.length === 1) await this.start(trainer.choice, open);
        if (!trainer.device || this.breaks.length > 1) {
          recipe.putDevice('cpu');
          await this.start('cpu', open);
        }
        return trainer.device && trainer.client();
      });
    });
  }

  /** While a model is opened that is not wanted any more: another trainer, with what was open before. */
  stopReading(): Promise<void> {
    const { trainer, model, training } = this.stores;
    return this.inTurn(async () => {
      const { open } = model;
      trainer.end();
      await model.settled();
      await training.goOnElsewhere(async () => {
        await this.start(trainer.choice, open);
        return trainer.device && trainer.client();
      });
    });
  }

  /** Why there is no trainer on the device, or null: then it has what the one before had. */
  private async start(device: DeviceChoice, open: OpenModel | null): Promise<Problem | null> {
    const { trainer, recipe, model, data, probe, rewardModel } = this.stores;
    try {
      await trainer.start(device);
    } catch {
      return trainer.error;
    }
    void recipe.check();
    const failure = open && (await model.reopen(open));
    await probe.reopen();
    await rewardModel.reopen();
    await data.reread();
    return failure;
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(work, work);
    return this.turn;
  }
}
