/** The settings of the next run, checked by the trainer as they are typed. */
import type { DeviceChoice, Fix, Recipe } from '../../engine/types.js';
import { TrainerError } from '../../engine/client.js';
import { Store, sentence } from './store.js';
import type { TrainerStore } from './trainer.js';

/** Settings that change which tokens of which rows are trained on, or held out. */
const READS_DATA_AGAIN = [
  'train.max_seq_length',
  'data.train_on_prompt',
  'data.fix',
  'data.max_rows',
  'data.mapping',
  'eval.validation_fraction',
  'objective',
];

export class RecipeStore extends Store {
  value!: Recipe;
  loaded = false;
  /** Sentences by dotted key; the empty key holds what belongs to no field. */
  get errors(): Record<string, string> {
    return { ...this.refused, ...this.unreadable };
  }
  onDataSetting: () => void = () => undefined;
  onDevice: () => void = () => undefined;
  private checking = 0;
  /** By the trainer. */
  private refused: Record<string, string> = {};
  /** Text that is not a number and so never became a value. */
  private unreadable: Record<string, string> = {};

  constructor(private readonly trainer: TrainerStore) {
    super();
  }

  /** The defaults, on the device that the trainer was started with. */
  async load(device: DeviceChoice): Promise<void> {
    if (!this.loaded) this.value = { ...(await (await this.trainer.client()).defaultRecipe()), device };
    this.loaded = true;
    this.changed();
  }

  get valid(): boolean {
    return Object.keys(this.errors).length === 0;
  }

  get(path: string): unknown {
    return path
      .split('.')
      .reduce<unknown>((place, key) => (place as Record<string, unknown>)[key], this.value);
  }

  /** Sets one dotted key and has the whole checked; whoever is about to read the data asks for no second reading. */
  set(path: string, value: unknown, readsData = true): void {
    const before = this.get(path);
    this.value = withValue(this.value, path.split('.'), value) as Recipe;
    this.unreadable = without(this.unreadable, path);
    this.refused = without(this.refused, path);
    this.changed();
    void this.check().then(() => {
      if (before === value || this.errors[path]) return;
      if (readsData && READS_DATA_AGAIN.includes(path)) this.onDataSetting();
      if (path === 'device') this.onDevice();
    });
  }

  /** What mends the rows of the data, in order. */
  get fixes(): Fix[] {
    return this.loaded ? this.value.data.fix : [];
  }

  /** The file is read again, and the report tells what the fix did. */
  addFix(fix: Fix): void {
    this.set('data.fix', [...this.fixes, fix]);
  }

  removeFix(fix: Fix): void {
    this.set(
      'data.fix',
      this.fixes.filter((other) => other !== fix),
    );
  }

  /** Says on which device the trainer is, without asking for another. */
  putDevice(device: DeviceChoice): void {
    this.value = { ...this.value, device };
    this.changed();
  }

  /** For text that is not even a number. */
  reject(path: string, error: string): void {
    this.unreadable = { ...this.unreadable, [path]: error };
    this.changed();
  }

  /** Takes a whole recipe; throws one sentence and keeps the old one if it is not valid. */
  async replace(json: string): Promise<void> {
    let given: unknown;
    try {
      given = JSON.parse(json);
    } catch (error) {
      throw new Error(`the recipe is not valid JSON: ${(error as Error).message}`, { cause: error });
    }
    const deviceBefore = this.value.device;
    this.value = await (await this.trainer.client()).validateRecipe(given);
    this.refused = {};
    this.unreadable = {};
    this.changed();
    this.onDataSetting();
    if (this.value.device !== deviceBefore) this.onDevice();
  }

  /** Whether the trainer takes the settings. */
  async check(): Promise<void> {
    const mine = ++this.checking;
    try {
      await (await this.trainer.client()).validateRecipe(this.value);
      if (mine === this.checking) this.refused = {};
    } catch (error) {
      // A trainer that has gone says nothing of the settings; the next one is asked again.
      if (mine !== this.checking || (error instanceof TrainerError && error.isFatal)) return;
      const text = error instanceof Error ? error.message : String(error);
      const path = /^recipe: ([a-z_.]+) is /.exec(text)?.[1] ?? '';
      this.refused = { [path]: sentence(text.replace(/^recipe: /, '')) };
    }
    this.changed();
  }
}

function withValue(place: unknown, path: string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const object = place as Record<string, unknown>;
  return { ...object, [key]: withValue(object[key], rest, value) };
}

function without(errors: Record<string, string>, path: string): Record<string, string> {
  return Object.fromEntries(Object.entries(errors).filter(([key]) => key !== path));
}
