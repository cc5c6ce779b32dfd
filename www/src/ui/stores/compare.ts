/** One prompt, answered by the base model and by the tuned one. */
import { wasStopped, type GenerateReport } from '../../engine/index.js';
import { problem, type Problem } from '../problem.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';
import type { TrainingStore } from './training.js';

export interface Side {
  text: string;
  report: GenerateReport | null;
  running: boolean;
  /** The step that the adapter was at. */
  step: number | null;
  /** How many times its strength the adapter had. */
  strength: number;
}

export interface Question {
  prompt: string;
  system: string;
  maxNewTokens: number;
  temperature: number;
  /** For a reward model: what it is to judge. */
  answer: string;
}

const EMPTY: Side = { text: '', report: null, running: false, step: null, strength: 1 };

export class CompareStore extends Store {
  base: Side = EMPTY;
  tuned: Side = EMPTY;
  busy = false;
  error: Problem | null = null;
  /** How many times its strength the adapter has, from 0 to 2. */
  strength = 1;
  private asked: Question | null = null;
  private asking: Promise<void> = Promise.resolve();
  /** Ends both answers of a press. */
  private stop = new AbortController();

  constructor(
    private readonly trainer: TrainerStore,
    private readonly training: TrainingStore,
  ) {
    super();
  }

  /** Base first, then tuned where there is an adapter; both greedy unless a temperature is set. */
  async ask(question: Question): Promise<void> {
    if (this.busy) return;
    this.asked = question;
    this.base = EMPTY;
    await this.work(async (signal) => {
      await this.answer('base', question, signal);
      if (this.training.hasAdapter && !signal.aborted) await this.answer('tuned', question, signal);
    });
  }

  /** What the tuned model has answered, it answers anew at the other strength. */
  async changeStrength(strength: number): Promise<void> {
    if (this.strength === strength) return;
    this.strength = strength;
    this.changed();
    const answered = this.tuned.running || this.tuned.report !== null;
    const { asked } = this;
    if (!asked || !answered || !this.training.hasAdapter) return;
    this.cancel();
    await this.asking;
    // Meanwhile there may be yet another strength, or another question.
    if (this.busy || this.asked !== asked || this.strength !== strength) return;
    await this.work((signal) => this.answer('tuned', asked, signal));
  }

  cancel(): void {
    this.stop.abort();
  }

  clear(): void {
    this.base = EMPTY;
    this.tuned = EMPTY;
    this.strength = 1;
    this.asked = null;
    this.error = null;
    this.changed();
  }

  private async work(answers: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.busy = true;
    this.error = null;
    this.tuned = EMPTY;
    this.stop = new AbortController();
    this.changed();
    this.asking = this.finish(answers(this.stop.signal));
    await this.asking;
  }

  private async finish(answers: Promise<void>): Promise<void> {
    try {
      await answers;
    } catch (error) {
      if (!wasStopped(error)) this.error = problem(error);
    } finally {
      this.busy = false;
      this.base = { ...this.base, running: false };
      this.tuned = { ...this.tuned, running: false };
      this.changed();
    }
  }

  private async answer(side: 'base' | 'tuned', question: Question, signal: AbortSignal): Promise<void> {
    const client = await this.trainer.client();
    const step = side === 'tuned' ? (this.training.last?.step ?? null) : null;
    const strength = side === 'tuned' ? this.strength : 1;
    this[side] = { text: '', report: null, running: true, step, strength };
    this.changed();
    const messages = [{ role: 'user', content: question.prompt }];
    if (this.training.judges === 'reward') messages.push({ role: 'assistant', content: question.answer });
    if (question.system.trim() && this.training.judges !== 'classify')
      messages.unshift({ role: 'system', content: question.system });
    const report = await client.generate(
      {
        messages,
        prompt: null,
        raw: false,
        adapter: side === 'tuned',
        strength,
        max_new_tokens: question.maxNewTokens,
        temperature: question.temperature,
        top_k: null,
        top_p: null,
        seed: 42,
      },
      {
        onText: (delta) => {
          this[side] = { ...this[side], text: this[side].text + delta };
          this.changed();
        },
        signal,
      },
    );
    this[side] = { text: report.text, report, running: false, step, strength };
    this.changed();
  }
}
