/** RLHF by hand: two sampled answers to a prompt, a person's pick, and the picks as data to train on. */
import {
  LoraletError,
  wasStopped,
  type Objective,
  type Pick,
  type PickStorage,
  type Verdict,
} from '../../engine/index.js';
import { messageOf, problem, type Problem } from '../problem.js';
import { sentence } from '../words/sentence.js';
import type { DataStore } from './data.js';
import type { ModelStore } from './model.js';
import type { RecipeStore } from './recipe.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';
import type { TrainingStore } from './training.js';

export interface Sampling {
  prompt: string;
  maxNewTokens: number;
  temperature: number;
}

/** How often two answers are sampled anew because they are the same. */
const ATTEMPTS = 4;

export class PicksStore extends Store {
  list: Pick[] = [];
  /** What is to be judged. */
  pair: { prompt: string; answers: [string, string]; step: number | null } | null = null;
  /** Words of the answer that is being written. */
  writing: string | null = null;
  busy = false;
  error: Problem | null = null;
  /** Ends all answers of a press. */
  private stop = new AbortController();
  private unsaved: Change[] = [];
  private saving: Promise<void> = Promise.resolve();

  constructor(
    private readonly storage: PickStorage,
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly model: ModelStore,
    private readonly data: DataStore,
    private readonly training: TrainingStore,
  ) {
    super();
  }

  /** Those of the model that was opened. */
  async load(): Promise<void> {
    this.pair = null;
    this.error = null;
    this.unsaved = [];
    const label = this.model.open?.label;
    this.list = label ? await this.storage.read(label).catch(() => []) : [];
    this.changed();
  }

  /** Two different answers of the present model: the adapter's where one was trained. */
  async sample({ prompt, maxNewTokens, temperature }: Sampling): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.stop = new AbortController();
    this.error = null;
    this.pair = null;
    this.changed();
    const { signal } = this.stop;
    try {
      const step = this.training.hasAdapter ? (this.training.last?.step ?? null) : null;
      const first = await this.answer(prompt, maxNewTokens, temperature, step, signal);
      let second = first;
      for (let attempt = 0; attempt < ATTEMPTS && second === first; attempt += 1)
        second = await this.answer(prompt, maxNewTokens, temperature, step, signal);
      if (signal.aborted) return;
      if (second === first)
        this.error = problem(
          new LoraletError(
            'same_answers',
            'the model gave the same answer each time; raise the temperature or ask something else',
          ),
        );
      else this.pair = { prompt, answers: [first, second], step };
    } catch (error) {
      if (!wasStopped(error)) this.error = problem(error);
    } finally {
      this.busy = false;
      this.writing = null;
      this.changed();
    }
  }

  cancel(): void {
    this.stop.abort();
  }

  async pick(verdict: Verdict): Promise<void> {
    if (!this.pair) return;
    const pick = { ...this.pair, verdict, pickedAt: new Date().toISOString() };
    this.pair = null;
    await this.save((picks) => [...picks, pick]);
  }

  skip(): void {
    this.pair = null;
    this.changed();
  }

  /** Takes the last pick back and shows its answers again. */
  async undo(): Promise<void> {
    const last = this.list.at(-1);
    if (!last || this.busy) return;
    this.pair = { prompt: last.prompt, answers: last.answers, step: last.step };
    await this.save((picks) => without(picks, last));
  }

  async remove(pick: Pick): Promise<void> {
    await this.save((picks) => without(picks, pick));
  }

  /** Opens the picks as the data set, for an objective that learns from them. */
  async use(objective: Objective): Promise<boolean> {
    const name = objective === 'kto' ? 'my-ratings.jsonl' : 'my-picks.jsonl';
    this.recipe.set('objective', objective, false);
    return this.data.read(name, new TextEncoder().encode(this.rows(objective)), null);
  }

  /** JSONL as TRL reads it: `prompt`, `chosen`, `rejected`; for KTO `prompt`, `completion`, `label`. */
  rows(objective: Objective): string {
    const rows = this.list.flatMap((pick) => (objective === 'kto' ? ratings(pick) : pairs(pick)));
    return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  }

  /** Rows that an objective gets. */
  count(objective: Objective): number {
    return this.list.flatMap((pick) => (objective === 'kto' ? ratings(pick) : pairs(pick))).length;
  }

  private async answer(
    prompt: string,
    maxNewTokens: number,
    temperature: number,
    step: number | null,
    signal: AbortSignal,
  ): Promise<string> {
    const client = await this.trainer.client();
    this.writing = '';
    this.changed();
    const report = await client.generate(
      {
        messages: [{ role: 'user', content: prompt }],
        prompt: null,
        raw: false,
        adapter: step !== null,
        max_new_tokens: maxNewTokens,
        temperature,
        top_k: null,
        top_p: null,
        seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
      },
      {
        onText: (delta) => {
          this.writing = (this.writing ?? '') + delta;
          this.changed();
        },
        signal,
      },
    );
    return report.text.trim();
  }

  /** What cannot be kept now is tried again with the next change. */
  private save(change: Change): Promise<void> {
    this.list = change(this.list);
    this.error = null;
    this.changed();
    const label = this.model.open?.label;
    if (!label) return Promise.resolve();
    this.unsaved.push(change);
    const { unsaved } = this;
    this.saving = this.saving.then(async () => {
      const changes = [...unsaved];
      try {
        const list = await this.storage.change(label, (picks) =>
          changes.reduce((all, change) => change(all), picks),
        );
        unsaved.splice(0, changes.length);
        if (this.model.open?.label === label && unsaved.length === 0) this.list = list;
      } catch (error) {
        this.error = {
          ...problem(error),
          text: `The picks could not be kept: ${sentence(messageOf(error))}`,
        };
      }
      this.changed();
    });
    return this.saving;
  }
}

type Change = (picks: Pick[]) => Pick[];

/** The same pick, read anew from storage, is another object. */
function without(picks: Pick[], pick: Pick): Pick[] {
  return picks.filter((other) => JSON.stringify(other) !== JSON.stringify(pick));
}

function pairs({ prompt, answers: [first, second], verdict }: Pick): object[] {
  if (verdict === 'first') return [{ prompt, chosen: first, rejected: second }];
  if (verdict === 'second') return [{ prompt, chosen: second, rejected: first }];
  return [];
}

function ratings({ prompt, answers, verdict }: Pick): object[] {
  const good = [
    verdict === 'first' || verdict === 'both_good',
    verdict === 'second' || verdict === 'both_good',
  ];
  return answers.map((completion, index) => ({ prompt, completion, label: good[index] ?? false }));
}
