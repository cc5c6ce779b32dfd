/** What happens between the stores: the page's start, and one part following another. */
import { compare } from './stores/compare.js';
import { data } from './stores/data.js';
import { model } from './stores/model.js';
import { network } from './stores/network.js';
import { picks } from './stores/picks.js';
import { recipe } from './stores/recipe.js';
import { changeDevice, recover } from './stores/restart.js';
import { rewardModel } from './stores/reward-model.js';
import { runs } from './stores/runs.js';
import { sweep } from './stores/sweep.js';
import { trainer } from './stores/trainer.js';
import { training } from './stores/training.js';
import type { DeviceChoice } from '../engine/types.js';

/** `?device=cpu` or `?device=webgpu` in the address chooses the device from the start. */
function deviceFromAddress(): DeviceChoice {
  const asked = new URLSearchParams(location.search).get('device');
  return asked === 'cpu' || asked === 'webgpu' ? asked : 'auto';
}

export async function startApp(): Promise<void> {
  recipe.onDataSetting = () => void data.reread();
  // An estimate holds for the recipe, the model and the data that it was made with.
  for (const store of [recipe, model, data]) store.subscribe(() => sweep.forgetEstimate());
  recipe.onDevice = () => void changeDevice();
  trainer.onBroken = (error) => void recover(error);
  const device = deviceFromAddress();
  await Promise.allSettled([
    startTrainer(device),
    model.refresh(),
    data.loadSampleList(),
    training.findSaved(),
    runs.load(),
  ]);
  const pending = network.takePending();
  const bundled = model.bundled.find((candidate) => candidate.name === pending);
  if (bundled) await useModel(model.openBundled(bundled));
}

/** A trainer that does not start says why; the page waits for another device to be chosen. */
async function startTrainer(device: DeviceChoice): Promise<void> {
  await trainer.start(device).catch(async (error: unknown) => {
    if (device === 'auto') throw error;
    const reason = trainer.error;
    await trainer.start('auto');
    trainer.error = reason;
  });
  await recipe.load(trainer.error === null ? device : 'auto');
}

/** A newly opened model leaves the adapter and the answers of the one before behind. */
export async function useModel(opening: Promise<boolean>): Promise<void> {
  if (!(await opening)) return;
  compare.clear();
  rewardModel.forget();
  await training.reset();
  await picks.load();
  await data.reread();
}

export async function useData(opening: Promise<boolean>): Promise<void> {
  if (!(await opening)) return;
  await training.reset();
}
