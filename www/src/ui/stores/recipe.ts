/** The settings of the next run, checked by the trainer as they are typed. */
import { isFatal, LoraletError, type DeviceChoice, type Fix, type Recipe } from '../../engine/index.js';
import { messageOf, problem, type Problem } from '../problem.js';
import { sentence } from '../words/sentence.js';
import { Store } from './store.js';
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
  /** By dotted key; the empty key holds what belongs to no field. */
  get errors(): Record<string, Problem> {
    return { ...this.refused, ...this.unreadable };
  }
  onDataSetting: () => void = () => undefined;
  onDevice: () => void = () => undefined;
  private checking = 0;
  /** By the trainer. */
  private refused: Record<string, Problem> = {};
  /** Text that is not a number and so never became a value. */
  private unreadable: Record<string, Problem> = {};

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

  /** For text that is not even a number; `reason` is a sentence. */
  reject(path: string, reason: string): void {
    const error = new LoraletError('invalid_setting', reason, { key: path });
    this.unreadable = { ...this.unreadable, [path]: problem(error) };
    this.changed();
  }

  /** Takes a whole recipe; throws one sentence and keeps the old one if it is not valid. */
  async replace(json: string): Promise<void> {
    let given: unknown;
    try {
      given = JSON.parse(json);
    } catch (error) {
      const message = `the recipe is not valid JSON: ${messageOf(error)}`;
      throw new LoraletError('invalid_recipe', message, { cause: error });
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
      if (mine !== this.checking || isFatal(error)) return;
      const refused = problem(error);
      this.refused = { [refused.key ?? '']: { ...refused, text: besideField(refused) } };
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

/** Without saying that it is the recipe. */
function besideField({ key, args, text }: Problem): string {
  const { value, expected, reason } = args;
  if (key !== null && expected !== undefined) return sentence(`${key} is ${value ?? ''}, but ${expected}`);
  return reason === undefined ? text : sentence(reason);
}

function without(errors: Record<string, Problem>, path: string): Record<string, Problem> {
  return Object.fromEntries(Object.entries(errors).filter(([key]) => key !== path));
}
