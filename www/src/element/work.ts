/** What an element does once it is used: a workspace of its own, opened as its attributes say. Loaded when first needed. */
import {
  BrowserWorkers,
  Engine,
  fetchData,
  LoraletError,
  WorkspaceStorage,
  type TrainState,
} from '../engine/index.js';
import { thrown, type Problem } from '../ui/problem.js';
import { OpenNetwork } from '../ui/stores/network.js';
import { Workspace } from '../ui/workspace.js';
import type { AskOptions } from './ask-options.js';
import type { Tell } from './events.js';
import type { DataPlace, ModelPlace, Task, View } from './task.js';
import './train-view.js';
import './try-view.js';

const MOST_TOKENS = 96;

const ACTIVE: TrainState[] = ['running', 'pausing', 'paused', 'stopping'];

export class Work {
  readonly workspace: Workspace;
  /** Ends what is being loaded. */
  private readonly leaving = new AbortController();
  private started: Promise<void> | null = null;
  /** What is open, as the attributes named it. */
  private opened = { recipe: '', model: '', data: '' };
  /** How far the run has been told of. */
  private told = { step: 0, state: 'idle' as TrainState, problems: new Set<Problem>() };

  /** `place` is where the trainer's frame goes; `keep` names the storage of its runs, null keeps none. */
  constructor(
    place: () => Node,
    private readonly keep: string | null,
    private readonly tell: Tell,
  ) {
    const storage = new WorkspaceStorage(keep ?? '', { keepsRuns: keep !== null });
    const engine = new Engine(new BrowserWorkers(place));
    this.workspace = new Workspace({ engine, storage, network: new OpenNetwork(), hasSite: false });
    const { compare, training, trainer } = this.workspace;
    training.subscribe(() => this.follow());
    for (const store of [training, compare]) store.subscribe(() => this.tellProblem(store.error));
    // A trainer that does not start is told of by what asked for it.
    trainer.subscribe(() => trainer.device && this.tellProblem(trainer.error));
  }

  /** Starts the trainer and opens what the task names and is not open yet. Throws one sentence. */
  async prepare(task: Task): Promise<void> {
    const { workspace } = this;
    const { data, model, recipe, trainer } = workspace;
    await loadViews(task.views);
    if (this.keep !== null) await import('../ui/components/resume-banner.js');
    this.started ??= workspace.start(task.device);
    await this.started;
    if (!trainer.device) {
      this.started = null;
      if (trainer.error) throw thrown(trainer.error);
    }
    this.leaving.signal.throwIfAborted();
    await this.once('recipe', task.recipe, () =>
      recipe.replace(JSON.stringify({ ...task.recipe, device: recipe.value.device })),
    );
    await this.once('model', task.model, async () => {
      const opening = this.openModel(task.model);
      await workspace.useModel(opening);
      if (await opening) return;
      throw model.error ? thrown(model.error.problem) : new LoraletError('stopped', 'this was stopped');
    });
    if (task.data)
      await this.once('data', task.data, async () => {
        const { name, bytes } = await this.readData(task.data as DataPlace);
        await workspace.useData(data.read(name, bytes, null));
        if (data.error) throw thrown(data.error);
      });
    this.tell('loralet-ready', {
      model: model.open?.label ?? '',
      device: trainer.device?.kind === 'cpu' ? 'cpu' : 'webgpu',
    });
  }

  /** Begins a run, or goes on with one that is paused. */
  async start(): Promise<void> {
    const { training } = this.workspace;
    if (training.active) return;
    if (training.state === 'paused') await training.resume();
    else {
      this.told.step = 0;
      await training.start();
    }
    if (training.error) throw thrown(training.error);
  }

  async ask(prompt: string, options: AskOptions = {}): Promise<string> {
    const { trainer, training } = this.workspace;
    const { model, system, maxNewTokens, temperature, ...listeners } = options;
    if (model === 'tuned' && !training.hasAdapter) throw noAdapter();
    const client = await trainer.client();
    const { text } = await client.generate(
      {
        messages: [
          ...(system ? [{ role: 'system', content: system }] : []),
          { role: 'user', content: prompt },
        ],
        prompt: null,
        raw: false,
        adapter: model !== 'base' && training.hasAdapter,
        max_new_tokens: maxNewTokens ?? MOST_TOKENS,
        temperature: temperature ?? 0,
        top_k: null,
        top_p: null,
        seed: 42,
      },
      listeners,
    );
    return text.trim();
  }

  async adapter(): Promise<Blob> {
    const { trainer, training } = this.workspace;
    if (!training.hasAdapter) throw noAdapter();
    const zip = await (await trainer.client()).adapterZip();
    return new Blob([zip], { type: 'application/zip' });
  }

  /** Ends the trainer, also one that is being loaded. */
  async close(): Promise<void> {
    this.leaving.abort(new LoraletError('stopped', 'this was stopped'));
    await this.workspace.model.cancel();
    await this.workspace.close();
  }

  /** Does what was not done for this value yet. */
  private async once(part: keyof Work['opened'], value: object, work: () => Promise<void>): Promise<void> {
    const key = JSON.stringify(value);
    if (this.opened[part] === key) return;
    await work();
    this.leaving.signal.throwIfAborted();
    this.opened[part] = key;
  }

  private async openModel(place: ModelPlace): Promise<boolean> {
    const { model } = this.workspace;
    if (place.kind === 'carried') return model.openCarried();
    if (place.kind === 'url') return model.openUrl(place.url);
    const { endpoint, repo, revision, weights } = place;
    const kept = model.stored.find(
      ({ complete, source }) =>
        complete &&
        source.kind === 'hub' &&
        source.endpoint === endpoint &&
        source.repo === repo &&
        source.revision === revision &&
        (weights === null || source.weights === weights),
    );
    if (kept) return model.openStored(kept);
    return model.openHubModel({ endpoint, repo, revision }, weights);
  }

  private async readData(place: DataPlace): Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> }> {
    if (place.kind === 'url')
      return fetchData(place.url, { signal: this.leaving.signal, onWait: () => undefined });
    return { name: place.name, bytes: new TextEncoder().encode(`${place.text}\n`) };
  }

  /** Tells of each step once, and how the run ended. */
  private follow(): void {
    const { training } = this.workspace;
    const { told } = this;
    const { last, state } = training;
    if (!last) told.step = 0;
    else if (last.step !== told.step) {
      // A run of an earlier visit brings its steps along, of which was told then.
      const isNext = last.step === told.step + 1;
      told.step = last.step;
      if (isNext) this.tell('loralet-step', last);
    }
    const hasEnded = ACTIVE.includes(told.state) && (state === 'finished' || state === 'stopped');
    told.state = state;
    if (hasEnded) this.tell('loralet-finish', { how: state, report: last });
  }

  private tellProblem(error: Problem | null): void {
    if (!error || this.told.problems.has(error)) return;
    this.told.problems.add(error);
    const { kind, key, text } = error;
    this.tell('loralet-error', { kind, key, message: text });
  }
}

/** The components of views that few elements have. */
async function loadViews(views: View[]): Promise<void> {
  await Promise.all(
    views.map((view): Promise<unknown> | undefined => {
      switch (view) {
        case 'data':
          return import('../ui/components/data-section.js');
        case 'settings':
          return import('../ui/components/settings-section.js');
        case 'export':
          return import('../ui/components/download-section.js');
        case 'runs':
          return import('../ui/components/runs-section.js');
        case 'train':
        case 'try':
          return undefined;
        default:
          return view satisfies never;
      }
    }),
  );
}

function noAdapter(): LoraletError {
  return new LoraletError('not_ready', 'there is no adapter yet; train some steps first', { key: 'adapter' });
}
