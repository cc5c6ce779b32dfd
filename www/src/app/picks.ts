/** RLHF by hand: two sampled answers to a prompt, a person's pick, and the picks as data to train on. */
import { readPicks, writePicks, type Pick, type Verdict } from '../storage/picks.js';
import { storageAvailable } from '../storage/opfs.js';
import type { Objective } from '../types.js';
import { data } from './data.js';
import { model } from './model.js';
import { recipe } from './recipe.js';
import { Store, sentence } from './store.js';
import { wasStopped } from '../worker/client.js';
import { trainer } from './trainer.js';
import { training } from './training.js';

export interface Sampling {
  prompt: string;
  maxNewTokens: number;
  temperature: number;
}

/** How often two answers are sampled anew because they are the same. */
const ATTEMPTS = 4;

class PicksStore extends Store {
  list: Pick[] = [];
  /** What is to be judged. */
  pair: { prompt: string; answers: [string, string]; step: number | null } | null = null;
  /** Words of the answer that is being written. */
  writing: string | null = null;
  busy = false;
  error: string | null = null;
  /** Ends all answers of a press. */
  private stop = new AbortController();

  /** Those of the model that was opened. */
  async load(): Promise<void> {
    this.pair = null;
    this.error = null;
    const label = model.open?.label;
    this.list = label && storageAvailable() ? await readPicks(label).catch(() => []) : [];
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
      const step = training.hasAdapter ? (training.last?.step ?? null) : null;
      const first = await this.answer(prompt, maxNewTokens, temperature, step, signal);
      let second = first;
      for (let attempt = 0; attempt < ATTEMPTS && second === first; attempt += 1)
        second = await this.answer(prompt, maxNewTokens, temperature, step, signal);
      if (signal.aborted) return;
      if (second === first)
        this.error = 'The model gave the same answer each time; raise the temperature or ask something else.';
      else this.pair = { prompt, answers: [first, second], step };
    } catch (error) {
      if (!wasStopped(error)) this.error = sentence(error);
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
    this.list = [...this.list, { ...this.pair, verdict, pickedAt: new Date().toISOString() }];
    this.pair = null;
    await this.save();
  }

  skip(): void {
    this.pair = null;
    this.changed();
  }

  /** Takes the last pick back and shows its answers again. */
  async undo(): Promise<void> {
    const last = this.list.at(-1);
    if (!last || this.busy) return;
    this.list = this.list.slice(0, -1);
    this.pair = { prompt: last.prompt, answers: last.answers, step: last.step };
    await this.save();
  }

  async remove(pick: Pick): Promise<void> {
    this.list = this.list.filter((other) => other !== pick);
    await this.save();
  }

  /** Opens the picks as the data set, for an objective that learns from them. */
  async use(objective: Objective): Promise<boolean> {
    const name = objective === 'kto' ? 'my-ratings.jsonl' : 'my-picks.jsonl';
    recipe.set('objective', objective, false);
    return data.read(name, new TextEncoder().encode(this.rows(objective)), null);
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
    const client = await trainer.client();
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
      (delta) => {
        this.writing = (this.writing ?? '') + delta;
        this.changed();
      },
      signal,
    );
    return report.text.trim();
  }

  private async save(): Promise<void> {
    this.error = null;
    this.changed();
    const label = model.open?.label;
    if (!label || !storageAvailable()) return;
    try {
      await writePicks(label, this.list);
    } catch (error) {
      this.error = `The picks could not be kept: ${sentence(error)}`;
      this.changed();
    }
  }
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

export const picks = new PicksStore();
