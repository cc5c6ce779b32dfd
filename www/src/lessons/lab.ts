/** Does what a lesson's steps ask for, with the model of a workspace. */
import type { GenerateRequest, PredictRequest, TokenProbability, TrainState } from '../engine/index.js';
import { problem, thrown, type Problem } from '../ui/problem.js';
import { Store } from '../ui/stores/store.js';
import type { Workspace } from '../ui/workspace.js';
import {
  fileOf,
  fill,
  type Action,
  type Evidence,
  type Outcome,
  type Settings,
  type Version,
} from './lesson.js';

/** The model of all lessons. */
const MODEL = 'tiny';
/** How many next tokens are shown. */
const CHOICES = 7;
const LONGEST_ANSWER = 48;
const ENDED: TrainState[] = ['finished', 'stopped', 'failed'];

type Compose = Extract<Action, { kind: 'compose' }>;

/** A text that a person is writing with the model. */
export interface Composing {
  start: string;
  text: string;
  next: TokenProbability[];
  ranks: number[];
  pieces: number;
}

export class Lab extends Store {
  /** Whether the model is open. */
  ready = false;
  /** What is being done; null while nothing is. */
  doing: Action | null = null;
  /** What the actions before it have found. */
  found: Evidence = {};
  composing: Composing | null = null;
  error: Problem | null = null;
  private pick: ((rank: number) => void) | null = null;
  private opening: Promise<void> | null = null;

  constructor(readonly workspace: Workspace) {
    super();
  }

  /** Opens the model, once. On the CPU: it is faster than a GPU for so small a model, and its figures are the same for a class. */
  open(): Promise<void> {
    this.opening ??= this.openModel().catch((error: unknown) => {
      this.opening = null;
      this.error = problem(error);
      this.changed();
    });
    return this.opening;
  }

  /** Does the actions in order; null where one failed, which `error` says, or another is still being done. */
  async perform(actions: Action[], version: Version): Promise<Evidence | null> {
    if (this.doing) return null;
    this.found = {};
    this.error = null;
    try {
      for (const action of actions) {
        this.doing = action;
        this.changed();
        await this.open();
        if (!this.ready) return null;
        this.found = { ...this.found, [action.name]: await this.do(action, version) };
      }
      return this.found;
    } catch (error) {
      this.error = problem(error);
      return null;
    } finally {
      this.doing = null;
      this.composing = null;
      this.pick = null;
      this.changed();
    }
  }

  /** Picks a piece of what comes next in the text that is being composed. */
  choose(rank: number): void {
    this.pick?.(rank);
  }

  private async openModel(): Promise<void> {
    const { model, trainer } = this.workspace;
    if (!model.open) {
      await this.workspace.start('cpu');
      const bundled = model.bundled.find(({ name }) => name === MODEL);
      if (!bundled) throw new Error(`the server of this page has no model "${MODEL}"; reload the page`);
      await this.workspace.useModel(model.openBundled(bundled));
    }
    this.ready = model.open !== null;
    this.error = trainer.error ?? model.error?.problem ?? null;
    if (!this.ready) this.opening = null;
    this.changed();
  }

  private async do(action: Action, version: Version): Promise<Outcome> {
    const { fields } = version;
    switch (action.kind) {
      case 'predict': {
        const text = fill(action.text, fields);
        const prompt = action.prompt === undefined ? undefined : fill(action.prompt, fields);
        return { kind: 'tokens', text, next: await this.predict(text, prompt, action.tuned) };
      }
      case 'compose':
        return this.compose(action, fill(action.text, fields));
      case 'ask': {
        const answers = [];
        for (const template of action.prompts) {
          const prompt = fill(template, fields);
          answers.push({ prompt, text: await this.generate({ prompt, adapter: action.tuned }) });
        }
        return { kind: 'answers', answers };
      }
      case 'continue': {
        const prompt = fill(action.text, fields);
        const answers = [];
        for (const [seed, temperature] of action.temperatures.entries()) {
          const asked = {
            prompt,
            raw: true,
            adapter: false,
            temperature,
            seed,
            max_new_tokens: action.tokens,
          };
          answers.push({ prompt, text: prompt + (await this.generate(asked)) });
        }
        return { kind: 'answers', answers };
      }
      case 'judge': {
        const texts = [];
        for (const row of action.texts === 'rows' ? version.rows : action.texts) {
          const prompt = fill(row.prompt, fields);
          const asked = { prompt, text: fill(row.completion, fields), adapter: action.tuned };
          texts.push({ prompt, tokens: (await this.ask(asked)).text });
        }
        return { kind: 'judged', texts };
      }
      case 'train':
        return this.train(version, action.rows, { ...version.settings, ...action.settings });
    }
  }

  private async train(version: Version, rows: number | undefined, settings: Settings): Promise<Outcome> {
    const { data, recipe, training } = this.workspace;
    // What is shown of a run is this one's from now on.
    await training.reset();
    // What another lesson has left is not read by this one's recipe.
    data.open = null;
    await recipe.replace(JSON.stringify({ ...nested(settings), device: recipe.value.device }));
    await this.workspace.useData(data.read('lesson.jsonl', fileOf(version, rows), null));
    if (data.error) throw thrown(data.error);
    await training.start();
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!ENDED.includes(training.state) && !training.error) return;
        unsubscribe();
        resolve();
      };
      const unsubscribe = training.subscribe(look);
      look();
    });
    if (training.error) throw thrown(training.error);
    const { reports, plan } = training;
    return {
      kind: 'run',
      reports,
      totalSteps: plan?.total_steps ?? 0,
      trainable: plan?.trainable_parameters ?? 0,
    };
  }

  private async compose({ pieces }: Compose, start: string): Promise<Outcome> {
    let text = start;
    const ranks: number[] = [];
    while (ranks.length < pieces) {
      const next = await this.predict(text, undefined, false);
      this.composing = { start, text, next, ranks: [...ranks], pieces };
      this.changed();
      const rank = await new Promise<number>((resolve) => (this.pick = resolve));
      text += next[rank]?.token ?? '';
      ranks.push(rank);
    }
    return { kind: 'composed', text, start, ranks };
  }

  private async predict(
    text: string,
    prompt: string | undefined,
    adapter: boolean,
  ): Promise<TokenProbability[]> {
    const asked = prompt === undefined ? { prompt: text, raw: true } : { prompt, text };
    return (await this.ask({ ...asked, adapter })).next;
  }

  private async ask(request: Partial<PredictRequest>) {
    const client = await this.workspace.trainer.client();
    const none = { messages: null, prompt: null, raw: false, text: '', adapter: false, most: CHOICES };
    return client.predict({ ...none, ...request });
  }

  private async generate(request: Partial<GenerateRequest>): Promise<string> {
    const client = await this.workspace.trainer.client();
    const { text } = await client.generate({
      messages: null,
      prompt: null,
      raw: false,
      adapter: false,
      max_new_tokens: LONGEST_ANSWER,
      temperature: 0,
      top_k: null,
      top_p: null,
      seed: 0,
      ...request,
    });
    return text;
  }
}

/** Dotted keys as objects in each other. */
function nested(settings: Settings): Record<string, unknown> {
  const all = object();
  for (const [path, value] of Object.entries(settings)) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    let place = all;
    for (const key of keys) place = (place[key] ??= object()) as Record<string, unknown>;
    place[last] = value;
  }
  return all;
}

/** Without a prototype that a key could reach. */
function object(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}
