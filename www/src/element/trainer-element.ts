import type { AskOptions } from './ask-options.js';

/** What `adapter` writes: a zip that PEFT opens. */
export type AdapterFormat = 'peft';

/**
 * A trainer in a page: fine-tunes a small language model in the reader's own tab, and answers before and after. It loads
 * nothing until it is used.
 */
export interface TrainerElement extends HTMLElement {
  /**
   * What to start from: `tiny`, which comes along; a Hub id (`owner/name`, `owner/name@revision`, `owner/name/file.gguf`); or
   * the address of a GGUF file or of a folder with safetensors, which begins with `./`, `/` or `https:` or ends in `.gguf`.
   */
  model: string;
  /** The address of the rows to learn from: JSONL, JSON, CSV, TSV or text. Left out, they are in a `<script>` inside. */
  data: string;
  /** Settings, as JSON or as an object; what is left out is by default. */
  recipe: string | object;
  /** Which parts are shown: of `data settings train try export runs`. By default `train try`. */
  views: string;
  /** `auto`, `webgpu` or `cpu`: read when the trainer starts. */
  device: string;
  /** Questions to try with one press: a list, its JSON, or one text. */
  prompts: string | string[];
  /** A name under which runs are kept in the browser, to go on after a reload. Null, the default, keeps none. */
  keep: string | null;
  /** The address of a mirror that is laid out like the Hugging Face Hub. */
  hub: string;

  /** Loads the trainer, the model and the data without training. */
  load(): Promise<void>;
  /** Loads what is not loaded yet, and begins a run; one that is paused goes on. Resolves once it has begun. */
  start(): Promise<void>;
  /** Waits after the step in progress; `start` goes on. */
  pause(): Promise<void>;
  /** Ends the run, or the loading; the adapter stays. */
  stop(): Promise<void>;
  /** The answer to a prompt, of the tuned model if there is one; loads what is needed first. */
  ask(prompt: string, options?: AskOptions): Promise<string>;
  /** What was trained, as a file: `peft`, the default, is a zip that PEFT opens. Rejects before the first step. */
  adapter(format?: AdapterFormat): Promise<Blob>;
}
