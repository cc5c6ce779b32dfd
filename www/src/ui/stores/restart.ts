/** One trainer in place of another: on the device that was chosen, or after it broke. Model and data go with it. */
import type { DeviceChoice } from '../../engine/types.js';
import type { TrainerError } from '../../engine/client.js';
import { data } from './data.js';
import { model, type OpenModel } from './model.js';
import { probe } from './probe.js';
import { recipe } from './recipe.js';
import { rewardModel } from './reward-model.js';
import { trainer } from './trainer.js';
import { training } from './training.js';

/** Trainers that break one after the other within so many milliseconds have the same reason. */
const SOON = 60_000;

let turn: Promise<void> = Promise.resolve();
let breaks: number[] = [];

/** Goes over to the device in the settings; if it cannot be had, or the model not read again, everything stays as it is. */
export function changeDevice(): Promise<void> {
  return inTurn(async () => {
    const [before, wanted] = [trainer.choice, recipe.value.device];
    if (wanted === before) return;
    await model.settled();
    const unreadable = await model.unreadable();
    if (unreadable) {
      recipe.putDevice(before);
      trainer.say(`the device stays as it is: ${unreadable}`);
      return;
    }
    await training.reset();
    await training.whileReplaced(async () => {
      const { open } = model;
      const failure = await start(wanted, open);
      if (failure === null) return;
      recipe.putDevice(before);
      await start(before, open);
      trainer.say(failure);
    });
    await training.findSaved();
  });
}

/** After the trainer broke: another one, on the processor if it breaks again. */
export function recover(error: TrainerError): Promise<void> {
  const { starts } = trainer;
  return inTurn(async () => {
    // Another has taken its place meanwhile.
    if (trainer.starts !== starts) return;
    await training.recover(error, async () => {
      breaks = [...breaks.filter((time) => time > Date.now() - SOON), Date.now()];
      if (breaks.length > 2) return null;
      await model.settled();
      const { open } = model;
      if (breaks.length === 1) await start(trainer.choice, open);
      if (!trainer.device || breaks.length > 1) {
        recipe.putDevice('cpu');
        await start('cpu', open);
      }
      return trainer.device && trainer.client();
    });
  });
}

/** Why there is no trainer on the device, in a sentence, or null: then it has what the one before had. */
async function start(device: DeviceChoice, open: OpenModel | null): Promise<string | null> {
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

function inTurn(work: () => Promise<void>): Promise<void> {
  turn = turn.then(work, work);
  return turn;
}
