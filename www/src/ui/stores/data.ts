/** The open data file and what the trainer says about it. */
import { LoraletError, type DataShape, type DataSummary, type Objective } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import type { ModelStore } from './model.js';
import type { RecipeStore } from './recipe.js';
import type { Sample, Samples } from './samples.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';

export interface OpenData {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  summary: DataSummary;
  sample: Sample | null;
}

export class DataStore extends Store {
  /** Those that can be opened. */
  sampleList: Sample[] = [];
  open: OpenData | null = null;
  /** What was chosen before there was a model; it is read as soon as one is open. */
  waiting: Omit<OpenData, 'summary'> | null = null;
  busy = false;
  error: Problem | null = null;

  constructor(
    private readonly samples: Samples,
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly model: ModelStore,
  ) {
    super();
  }

  async loadSampleList(): Promise<void> {
    this.sampleList = (await this.samples.load()).map(({ sample }) => sample);
    this.changed();
  }

  async openSample(sample: Sample): Promise<boolean> {
    const found = (await this.samples.load()).find((loaded) => loaded.sample.file === sample.file);
    if (!found) return false;
    const opened = await this.read(sample.file, found.bytes, sample);
    if (opened) this.useSettings(sample);
    return opened;
  }

  async openFile(file: File): Promise<boolean> {
    return this.read(file.name, new Uint8Array(await file.arrayBuffer()), null);
  }

  /** Reads a file; the one that was open stays open if this fails. */
  async read(name: string, bytes: Uint8Array<ArrayBuffer>, sample: Sample | null): Promise<boolean> {
    this.error = null;
    // What mends one file need not suit another.
    if (this.open && name !== this.open.name && this.recipe.fixes.length > 0)
      this.recipe.set('data.fix', [], false);
    if (!this.model.open) {
      this.waiting = { name, bytes, sample };
      const message = `${name} is read as soon as a model is open, because how text becomes tokens depends on it; choose one`;
      this.error = problem(new LoraletError('not_ready', message, { key: 'model', args: { name } }));
      this.changed();
      return false;
    }
    this.waiting = null;
    this.busy = true;
    this.changed();
    try {
      const client = await this.trainer.client();
      let summary = await client.openData(name, bytes, this.recipe.value);
      const same = name === this.open?.name;
      const objective = objectiveFor(summary.report.shape, this.recipe.value.objective, same);
      if (objective !== this.recipe.value.objective) {
        this.recipe.set('objective', objective, false);
        summary = await client.openData(name, bytes, this.recipe.value);
      }
      this.open = { name, bytes, summary, sample };
      return true;
    } catch (error) {
      this.error = problem(error);
      // The trainer keeps what it had; so does the page.
      return false;
    } finally {
      this.busy = false;
      this.changed();
    }
  }

  /** Reads the open file again, after the model or a setting that cuts or masks rows has changed; or what waits for a model. */
  async reread(): Promise<void> {
    const { waiting } = this;
    if (waiting) {
      const opened = await this.read(waiting.name, waiting.bytes, waiting.sample);
      if (opened && waiting.sample) this.useSettings(waiting.sample);
    } else if (this.open) await this.read(this.open.name, this.open.bytes, this.open.sample);
  }

  private useSettings(sample: Sample): void {
    for (const [path, value] of Object.entries(sample.settings)) this.recipe.set(path, value);
  }
}

/** The objective that learns from rows of a shape; the present one where several do. `same` is whether the file was open before. */
function objectiveFor(shape: DataShape, present: Objective, same: boolean): Objective {
  switch (shape) {
    case 'text':
      // There is no assistant to learn from: every token is a target.
      return 'text';
    case 'preference':
      return present === 'orpo' || present === 'kto' || present === 'reward' ? present : 'dpo';
    case 'unpaired_preference':
      return 'kto';
    case 'classification':
      return present === 'text' ? 'text' : 'classify';
    case 'text_pairs':
    case 'scored_pairs':
      return 'contrastive';
    case 'prompt_completion':
    case 'messages':
    case 'share_gpt':
    case 'alpaca':
      return present === 'grpo' && same ? 'grpo' : 'sft';
    case 'prompts':
      return 'grpo';
  }
}
