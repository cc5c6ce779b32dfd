/** What a pupil has done, kept on this device over a reload. */
import { Store } from '../ui/stores/store.js';
import type { Evidence, Fields } from './lesson.js';

/** What is kept of a step. */
export interface StepProgress {
  guess: string | null;
  done: boolean;
  /** The answers given, the latest last: wrong ones may be tried again. */
  answers: string[];
}

interface Kept {
  /** The place of the step that is shown. */
  at: number;
  steps: Record<string, StepProgress>;
  evidence: Evidence;
  /** What the pupil chose for the lesson to be about. */
  fields: Fields;
  /** What the pupil is called on the card. */
  pupil: string;
}

const NOTHING: Kept = { at: 0, steps: {}, evidence: {}, fields: {}, pupil: '' };

/** What keeps text by name, as `localStorage` does. */
export type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

export class Progress extends Store {
  private kept: Kept;

  /** `key`: of the lesson and its version. */
  constructor(
    private readonly shelf: Shelf,
    private readonly key: string,
  ) {
    super();
    this.kept = { ...NOTHING, ...read(shelf, key) };
  }

  get at(): number {
    return this.kept.at;
  }

  get evidence(): Evidence {
    return this.kept.evidence;
  }

  get pupil(): string {
    return this.kept.pupil;
  }

  get fields(): Fields {
    return this.kept.fields;
  }

  /** Whether anything has been done yet. */
  get begun(): boolean {
    return Object.keys(this.kept.steps).length > 0;
  }

  step(id: string): StepProgress {
    return this.kept.steps[id] ?? { guess: null, done: false, answers: [] };
  }

  go(at: number): void {
    this.keep({ at });
  }

  guess(id: string, guess: string): void {
    this.keep({ steps: { ...this.kept.steps, [id]: { ...this.step(id), guess } } });
  }

  answer(id: string, answer: string): void {
    const step = this.step(id);
    this.keep({ steps: { ...this.kept.steps, [id]: { ...step, answers: [...step.answers, answer] } } });
  }

  /** What was found in a step; answers to what was found before count no more. */
  found(id: string, evidence: Evidence): void {
    const steps = { ...this.kept.steps, [id]: { ...this.step(id), done: true, answers: [] } };
    this.keep({ evidence: { ...this.kept.evidence, ...evidence }, steps });
  }

  field(name: string, value: string): void {
    this.keep({ fields: { ...this.kept.fields, [name]: value } });
  }

  name(pupil: string): void {
    this.keep({ pupil });
  }

  forget(): void {
    this.kept = NOTHING;
    this.shelf.removeItem(this.key);
    this.changed();
  }

  private keep(news: Partial<Kept>): void {
    this.kept = { ...this.kept, ...news };
    try {
      this.shelf.setItem(this.key, JSON.stringify(this.kept));
    } catch {
      // Where nothing can be kept, as in some private windows, the lesson goes on until the page is closed.
    }
    this.changed();
  }
}

function read(shelf: Shelf, key: string): Partial<Kept> {
  try {
    return JSON.parse(shelf.getItem(key) ?? '{}') as Partial<Kept>;
  } catch {
    return {};
  }
}
