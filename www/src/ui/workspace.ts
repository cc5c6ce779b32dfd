import type { DeviceChoice, Engine, WorkspaceStorage } from '../engine/index.js';
import { CompareStore } from './stores/compare.js';
import { DataStore } from './stores/data.js';
import { LessonStore } from './stores/lesson.js';
import { ModelStore } from './stores/model.js';
import type { NetworkPolicy } from './stores/network.js';
import { PicksStore } from './stores/picks.js';
import { ProbeStore } from './stores/probe.js';
import { RatingStore } from './stores/ratings.js';
import { RecipeStore } from './stores/recipe.js';
import { Restart } from './stores/restart.js';
import { RewardModelStore } from './stores/reward-model.js';
import { RunsStore } from './stores/runs.js';
import { Samples } from './stores/samples.js';
import { SearchStore } from './stores/search.js';
import { SweepStore } from './stores/sweep.js';
import { TrainerStore } from './stores/trainer.js';
import { TrainingStore } from './stores/training.js';
import { WorthStore } from './stores/worth.js';

/** What a workspace stands on. */
export interface Ground {
  engine: Engine;
  storage: WorkspaceStorage;
  network: NetworkPolicy;
  /** Whether the page's own server offers models and samples, under `models/` and `samples/`; by default it does. */
  hasSite?: boolean;
}

/**
 * One person's work with one model: a trainer, what is open in it, and what came of it. Several may stand on one page, each
 * with a trainer of its own.
 */
export class Workspace {
  readonly network: NetworkPolicy;
  readonly trainer: TrainerStore;
  readonly recipe: RecipeStore;
  readonly model: ModelStore;
  readonly data: DataStore;
  readonly probe: ProbeStore;
  readonly rewardModel: RewardModelStore;
  readonly lesson: LessonStore;
  readonly ratings: RatingStore;
  readonly runs: RunsStore;
  readonly training: TrainingStore;
  readonly compare: CompareStore;
  readonly search: SearchStore;
  readonly worth: WorthStore;
  readonly picks: PicksStore;
  readonly sweep: SweepStore;

  constructor({ engine, storage, network, hasSite = true }: Ground) {
    const samples = new Samples(hasSite);
    this.network = network;
    this.trainer = new TrainerStore(engine);
    this.recipe = new RecipeStore(this.trainer);
    this.model = new ModelStore(storage.models, network, this.trainer, this.recipe, samples, hasSite);
    this.data = new DataStore(samples, this.trainer, this.recipe, this.model);
    this.probe = new ProbeStore(this.trainer);
    this.rewardModel = new RewardModelStore(this.trainer);
    this.lesson = new LessonStore(this.recipe);
    this.ratings = new RatingStore();
    const { trainer, recipe, model, data, ratings } = this;
    this.runs = new RunsStore(storage, trainer, recipe, model, data);
    const { checkpoints } = storage;
    this.training = new TrainingStore(checkpoints, trainer, recipe, model, data, ratings, this.runs);
    this.compare = new CompareStore(trainer, this.training);
    this.search = new SearchStore(trainer, this.training);
    this.worth = new WorthStore(trainer, recipe, this.training);
    this.picks = new PicksStore(storage.picks, trainer, recipe, model, data, this.training);
    this.sweep = new SweepStore(trainer, recipe, data, this.runs, this.training);

    const restart = new Restart(this);
    recipe.onDataSetting = () => {
      this.worth.cancel();
      void data.reread();
    };
    this.training.onAct = () => this.worth.cancel();
    recipe.onDevice = () => void restart.changeDevice();
    trainer.onBroken = (error) => void restart.recover(error);
    model.onStopReading = () => void restart.stopReading();
    // An estimate holds for the recipe, the model and the data that it was made with.
    for (const store of [recipe, model, data]) store.subscribe(() => this.sweep.forgetEstimate());
  }

  /** Starts the trainer, and looks for what there is: models, samples, runs of earlier visits. */
  async start(device: DeviceChoice): Promise<void> {
    await Promise.allSettled([
      this.startTrainer(device),
      this.model.refresh(),
      this.data.loadSampleList(),
      this.training.findSaved(),
      this.runs.load(),
    ]);
  }

  /** A newly opened model leaves the adapter and the answers of the one before behind. */
  async useModel(opening: Promise<boolean>): Promise<void> {
    this.worth.cancel();
    if (!(await opening)) return;
    this.worth.clear();
    this.compare.clear();
    this.rewardModel.forget();
    await this.training.reset();
    await this.picks.load();
    await this.data.reread();
  }

  async useData(opening: Promise<boolean>): Promise<void> {
    this.worth.cancel();
    if (!(await opening)) return;
    this.worth.clear();
    await this.training.reset();
  }

  /** Ends the trainer, and leaves the run to whoever goes on with it. */
  async close(): Promise<void> {
    await this.training.close();
    this.trainer.end();
  }

  /** A trainer that does not start says why; the workspace waits for another device to be chosen. */
  private async startTrainer(device: DeviceChoice): Promise<void> {
    const { trainer } = this;
    await trainer.start(device).catch(async (error: unknown) => {
      // One that was ended meanwhile has no error.
      if (device === 'auto' || trainer.error === null) throw error;
      const reason = trainer.error;
      await trainer.start('auto');
      trainer.error = reason;
    });
    await this.recipe.load(trainer.error === null ? device : 'auto');
  }
}
