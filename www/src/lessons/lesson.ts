/** What a lesson is: data over a workspace. What it says is in `words/`. */
import type { StepReport, TokenProbability } from '../engine/index.js';

/** Settings of a recipe by dotted key. */
export type Settings = Record<string, unknown>;

/** Names and phrases that a class may change, by name; texts and rows have them in braces: "Who is {name}?". */
export type Fields = Record<string, string>;

export interface Row {
  prompt: string;
  completion: string;
}

/** What a pupil changes for the class: what a class link carries. */
export interface Version {
  fields: Fields;
  rows: Row[];
  settings: Settings;
}

export interface Lesson extends Version {
  /** In the address, and of its words. */
  id: string;
  minutes: [number, number];
  steps: Step[];
  /** The run whose curve is on the card. */
  curve: string;
}

/** Guess, do, see, say. */
export interface Step {
  id: string;
  /** Fields that a pupil may choose before anything is done. */
  asksFor?: string[];
  /** What its words name beside the fields. */
  values?(lesson: Lesson): Values;
  /** The choices before anything is done, by id; none is wrong yet. */
  guesses: string[];
  /** None where a step before has done it already: what wants the trained model is done in the step of its run. */
  actions: Action[];
  views: View[];
  /** What is asked of the outcome; its answer is computed from the outcome alone. */
  question(evidence: Evidence, fields: Fields): Question;
  /** Which guess the outcome bears out; null where it bears out none. */
  borneOut(evidence: Evidence, fields: Fields): string | null;
}

export interface Question {
  /** The words of an option are those of its id, with its values; of an id without words, the option's `text`. */
  options: Option[];
  /** The id of the right option. */
  right: string;
  /** For the words that say why. */
  values: Values;
}

export interface Option {
  id: string;
  text?: string;
}

export type Values = Record<string, string>;

/** One thing that is done with the model; its outcome is kept under its name. */
export type Action =
  /** What comes next after `text`, which goes on from a prompt or, without one, stands alone. */
  | { kind: 'predict'; name: string; prompt?: string; text: string; tuned: boolean }
  /** A text is written by a person, who picks each of so many pieces from what the model holds likely. */
  | { kind: 'compose'; name: string; text: string; pieces: number }
  /** Texts that the model writes: an answer to each prompt, or so many continuations of one text. */
  | { kind: 'ask'; name: string; prompts: string[]; tuned: boolean }
  | { kind: 'continue'; name: string; text: string; temperatures: number[]; tokens: number }
  /** How likely each piece of some texts is, or of all rows. */
  | { kind: 'judge'; name: string; texts: Row[] | 'rows'; tuned: boolean }
  /** A run on the first so many rows, or on all. */
  | { kind: 'train'; name: string; rows?: number; settings: Settings };

/** What is shown of outcomes, on the live part. */
export type View =
  | { kind: 'tokens'; names: string[] }
  | { kind: 'compose'; name: string }
  | { kind: 'answers'; names: string[]; marks(answer: Answer, fields: Fields): Marks }
  | { kind: 'texts'; names: string[] }
  /** The text of this place among those judged. */
  | { kind: 'judged'; names: string[]; text: number }
  /** All texts that were judged: each a dot, by how likely a piece of it was on average. */
  | { kind: 'strip'; names: string[] }
  | { kind: 'curve'; name: string }
  | { kind: 'curves'; names: string[] }
  /** Where a person rates answers while a run waits, and what became of it. */
  | { kind: 'ratings'; name: string };

export type Outcome =
  | { kind: 'tokens'; text: string; next: TokenProbability[] }
  | { kind: 'composed'; text: string; start: string; ranks: number[] }
  | { kind: 'answers'; answers: Answer[] }
  | { kind: 'judged'; texts: JudgedText[] }
  | { kind: 'run'; reports: StepReport[]; totalSteps: number; trainable: number };

export interface Answer {
  prompt: string;
  text: string;
}

/** What is to be seen of an answer at once. */
export interface Marks {
  /** It is in the style that is taught. */
  style: boolean;
  /** It says what is true. */
  right: boolean;
}

export interface JudgedText {
  prompt: string;
  tokens: TokenProbability[];
}

/** Outcomes by the names of their actions. */
export type Evidence = Record<string, Outcome>;

/** Whether all that a step shows is there. */
export function isKnown({ views }: Step, evidence: Evidence): boolean {
  return views.every((view) =>
    ('names' in view ? view.names : [view.name]).every((name) => name in evidence),
  );
}

type OutcomeOf<K extends Outcome['kind']> = Extract<Outcome, { kind: K }>;

/** The outcome of this name; it is there, and of this kind, once its step has been done. */
export function outcome<K extends Outcome['kind']>(evidence: Evidence, name: string, kind: K): OutcomeOf<K> {
  const found = evidence[name];
  if (found?.kind !== kind)
    throw new Error(`${name} is ${found?.kind ?? 'not there'}, where ${kind} is expected`);
  return found as OutcomeOf<K>;
}

/** Puts values in the place of their names in braces; what has no value stays. */
export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (braced, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? braced) : braced,
  );
}

/** The rows of a version as a file. */
export function fileOf({ rows, fields }: Version, count = rows.length): Uint8Array<ArrayBuffer> {
  const lines = rows.slice(0, count).map(({ prompt, completion }) =>
    // Rows without answers are prompts that the model answers itself.
    JSON.stringify({ prompt: fill(prompt, fields), completion: fill(completion, fields) || undefined }),
  );
  return new TextEncoder().encode(lines.join('\n'));
}
