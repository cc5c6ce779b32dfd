/** Sampled answers that a run waits for a person to rate: `grpo.reward` "person". */
import type { Message, Question, Run } from '../../engine/index.js';
import { Store } from './store.js';

/** What an answer can be, and what that earns. */
export const RATINGS = [
  { label: 'Good', value: 1 },
  { label: 'So-so', value: 0.5 },
  { label: 'Bad', value: 0 },
];

export class RatingStore extends Store {
  prompt: Message[] = [];
  /** Empty while nothing is to be rated. */
  answers: string[] = [];
  /** One an answer, null until it is rated. */
  ratings: (number | null)[] = [];

  private run: Run | null = null;

  get waiting(): boolean {
    return this.answers.length > 0;
  }

  get complete(): boolean {
    return this.waiting && this.ratings.every((rating) => rating !== null);
  }

  ask(run: Run, { prompt, answers }: Question): void {
    this.run = run;
    this.prompt = prompt;
    this.answers = answers;
    this.ratings = answers.map(() => null);
    this.changed();
  }

  rate(answer: number, rating: number): void {
    this.ratings = this.ratings.map((before, place) => (place === answer ? rating : before));
    this.changed();
  }

  /** Hands the ratings over; the run goes on. */
  async done(): Promise<void> {
    const ratings = this.ratings.filter((rating) => rating !== null);
    if (!this.complete) return;
    const { run } = this;
    this.clear();
    await run?.rate(ratings);
  }

  clear(): void {
    Object.assign(this, { run: null, prompt: [], answers: [], ratings: [] });
    this.changed();
  }
}
