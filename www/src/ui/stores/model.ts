/** The open model and the ways to get one. */
import {
  baseOf,
  bundledKey,
  CARRIED,
  carriedModel,
  download,
  downloadJob,
  fetchBundled,
  fetchModel,
  listBundled,
  listWeights,
  LoraletError,
  nameOf,
  openCached,
  type BundledModel,
  type CachedModel,
  type DownloadJob,
  type HubAddress,
  type Link,
  type ModelFile,
  type ModelReport,
  type ModelSource,
  type ModelStorage,
  type Transfer,
  type Wait,
  type WeightsChoice,
} from '../../engine/index.js';
import { messageOf, problem, type Problem } from '../problem.js';
import type { NetworkPolicy } from './network.js';
import type { RecipeStore } from './recipe.js';
import type { Samples } from './samples.js';
import { Store } from './store.js';
import type { TrainerStore } from './trainer.js';

export interface OpenModel {
  label: string;
  source: ModelSource;
  files: ModelFile[];
  report: ModelReport;
  /** The Hugging Face id of the base, where known. */
  base: string | null;
}

/** Which part of the section asked, so that an error stands there. */
export type Place = 'bundled' | 'local' | 'hub' | 'stored';

export interface Busy {
  place: Place;
  name: string;
  what: string;
  transfer: Transfer | null;
  share: number;
  /** The server has asked for a pause. */
  wait: Wait | null;
}

/** How long a Stop waits, in milliseconds, for the trainer to hear of it. */
const PATIENCE = 500;

type FetchFiles = (link: Link) => Promise<Omit<OpenModel, 'report'>>;

export class ModelStore extends Store {
  bundled: BundledModel[] = [];
  stored: CachedModel[] = [];
  /** The keys of stored models that another tab is downloading. */
  elsewhere = new Set<string>();
  /** Folders in storage that hold no model. */
  unreadableFolders: string[] = [];
  /** Why the browser keeps nothing for this page, if so. */
  refused: string | null = null;
  /** Why the model that was opened last is not kept. */
  unkept: string | null = null;
  open: OpenModel | null = null;
  busy: Busy | null = null;
  error: { place: Place; problem: Problem } | null = null;
  /** Called where the trainer reads on although its model is not wanted any more. */
  onStopReading: () => void = () => undefined;
  private abort: AbortController | null = null;
  private opening: Promise<boolean> = Promise.resolve(false);

  constructor(
    private readonly storage: ModelStorage,
    private readonly network: NetworkPolicy,
    private readonly trainer: TrainerStore,
    private readonly recipe: RecipeStore,
    private readonly samples: Samples,
    /** Whether the page's own server offers models. */
    private readonly hasBundled = true,
  ) {
    super();
  }

  /** Whether the open model is an encoder, which writes no text. */
  get isEncoder(): boolean {
    return this.open?.report.architecture === 'bert';
  }

  async refresh(): Promise<void> {
    if (this.hasBundled) this.bundled = await listBundled().catch(() => []);
    await this.refreshStored();
  }

  async openBundled(model: BundledModel): Promise<boolean> {
    const open = this.open?.source;
    if (open?.kind === 'bundled' && open.name === model.name) return false;
    const cached = this.stored.find((stored) => stored.key === bundledKey(model.name) && stored.complete);
    if (this.network.state === 'locked' && !cached) {
      this.network.unlock(model.name);
      return false;
    }
    return this.load('bundled', model.name, async (link) => ({
      label: model.label,
      source: { kind: 'bundled', name: model.name },
      files: cached
        ? await openCached(this.storage, cached)
        : await this.keeping(bundledKey(model.name), model.label, () =>
            fetchBundled(this.storage, model, this.onTransfer, link),
          ),
      base: baseOf(model.name),
    }));
  }

  /** Files the user chose or dropped: one GGUF, or a Hugging Face folder. */
  openLocal(files: File[]): Promise<boolean> {
    return this.load('local', files[0]?.name ?? '', () => {
      const inFolder = files.filter((file) => file.webkitRelativePath.split('/').length <= 2);
      const gguf = inFolder.filter((file) => file.name.toLowerCase().endsWith('.gguf'));
      const chosen =
        gguf.length > 0
          ? gguf.slice(0, 1)
          : inFolder.filter((file) =>
              /\.(safetensors|json|jinja)$|^loralet-(probe|general)\./.test(file.name),
            );
      if (chosen.length === 0) {
        throw new LoraletError(
          'no_weights',
          'there is no model among these files; choose one .gguf, or a folder with config.json and .safetensors',
        );
      }
      const folder = files[0]?.webkitRelativePath.split('/')[0];
      const label = (gguf[0]?.name ?? folder) || 'local model';
      const blobs = chosen.map((file) => ({ name: file.name, blob: file as Blob }));
      return Promise.resolve({ label, source: { kind: 'local' } as const, files: blobs, base: null });
    });
  }

  /** What a repository offers; null where that was stopped or failed, which is said. */
  async lookHub(address: HubAddress): Promise<WeightsChoice[] | null> {
    if (this.busy) return null;
    const link = this.begin('hub', address.repo, 'Looking at the repository');
    try {
      return await listWeights(address, link);
    } catch (error) {
      if (!link.signal.aborted) this.error = { place: 'hub', problem: problem(error) };
      return null;
    } finally {
      this.busy = null;
      this.changed();
    }
  }

  openHub(job: DownloadJob): Promise<boolean> {
    return this.load('hub', job.key, async (link) => ({
      label: job.label,
      source: job.source,
      files: await this.keeping(job.key, job.label, () => download(this.storage, job, this.onTransfer, link)),
      base: knownBase(job.source),
    }));
  }

  /** The one that the library carries. */
  openCarried(): Promise<boolean> {
    return this.load('bundled', CARRIED, async () => ({
      label: CARRIED,
      source: { kind: 'bundled', name: CARRIED },
      files: await carriedModel(),
      base: baseOf(CARRIED),
    }));
  }

  /** From an absolute address: a GGUF file, or a folder. */
  openUrl(url: string): Promise<boolean> {
    const label = nameOf(url);
    return this.load('hub', label, async (link) => ({
      label,
      source: { kind: 'url', url },
      files: await this.keeping(url, label, () => fetchModel(this.storage, url, this.onTransfer, link)),
      base: null,
    }));
  }

  /** Looks at a repository and opens the weights of this name, or, with null, its safetensors or its only GGUF file. */
  async openHubModel(address: HubAddress, weights: string | null): Promise<boolean> {
    const choices = await this.lookHub(address);
    if (!choices) return false;
    const named = (name: string) => choices.find((choice) => choice.weights === name);
    const only = choices.length === 1 ? choices[0] : undefined;
    const choice = weights === null ? (named('safetensors') ?? only) : named(weights);
    if (choice) return this.openHub(downloadJob(address, choice));
    const names = choices.map((other) => other.weights).join(', ');
    const message =
      weights === null
        ? `${address.repo} holds several models; name one of ${names}`
        : `${address.repo} has no ${weights}; it has ${names}`;
    this.fail('hub', new LoraletError('no_weights', message, { key: address.repo }));
    return false;
  }

  openStored(model: CachedModel): Promise<boolean> {
    return this.load('stored', model.key, async () => ({
      label: model.label,
      source: model.source,
      files: await openCached(this.storage, model),
      base: knownBase(model.source),
    }));
  }

  /** Opens what a saved run was trained on; false if it has to be chosen by hand. */
  async openSource(source: ModelSource): Promise<boolean> {
    if (this.open && JSON.stringify(this.open.source) === JSON.stringify(source) && source.kind !== 'local')
      return true;
    const stored = this.stored.find(
      (model) => model.complete && JSON.stringify(model.source) === JSON.stringify(source),
    );
    if (stored) return this.openStored(stored);
    if (source.kind !== 'bundled') return false;
    const bundled = this.bundled.find((model) => model.name === source.name);
    return bundled ? this.openBundled(bundled) : false;
  }

  /** Resolves when no model is being opened. */
  async settled(): Promise<void> {
    await this.opening;
  }

  /** Why a file of the open model cannot be read any more; null if all can. */
  async unreadable(): Promise<LoraletError | null> {
    for (const { name, blob } of this.open?.files ?? []) {
      const read = blob.slice(0, 1).arrayBuffer();
      if (!(await read.catch(() => null)))
        return new LoraletError(
          'unreadable',
          `${name} has been changed or moved since it was chosen; choose it again first`,
          { key: name },
        );
    }
    return null;
  }

  /** Hands the model that was open to a new trainer; answers why not, or null. */
  async reopen(open: OpenModel): Promise<Problem | null> {
    if (await this.load('stored', open.label, () => Promise.resolve(open))) return null;
    this.open = null;
    this.changed();
    return this.error?.problem ?? problem(new LoraletError('not_ready', 'another model is being opened'));
  }

  /** Ends what is fetched or opened. A trainer hears of it only between two models: one that reads on has to be replaced. */
  async cancel(): Promise<void> {
    const { abort, opening } = this;
    abort?.abort();
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), PATIENCE));
    if ((await Promise.race([opening, late])) === 'late' && this.abort === abort && this.busy)
      this.onStopReading();
  }

  forget(model: CachedModel): Promise<void> {
    return this.change(() => this.storage.delete(model));
  }

  /** Deletes a folder that holds no model. */
  forgetFolder(name: string): Promise<void> {
    return this.change(() => this.storage.deleteFolder(name));
  }

  fail(place: Place, error: unknown): void {
    this.error = { place, problem: problem(error) };
    this.changed();
  }

  private async change(work: () => Promise<void>): Promise<void> {
    this.error = null;
    await work().catch((error: unknown) => this.fail('stored', error));
    await this.refreshStored();
  }

  private async refreshStored(): Promise<void> {
    try {
      const { models, unreadable, elsewhere } = await this.storage.list();
      this.stored = models;
      this.unreadableFolders = unreadable;
      for (const key of elsewhere)
        if (!this.elsewhere.has(key)) void this.storage.whenFree(key).then(() => this.refreshStored());
      this.elsewhere = elsewhere;
    } catch (error) {
      this.refused = messageOf(error);
    }
    this.changed();
  }

  /** Downloads a model, which no other tab does meanwhile, and says so if it could not be kept. */
  private async keeping(
    key: string,
    label: string,
    fetchFiles: () => Promise<ModelFile[]>,
  ): Promise<ModelFile[]> {
    const taken = `another tab is downloading ${label}; wait until it is there, then open it here from the stored models`;
    const files = await this.storage.alone(key, taken, fetchFiles);
    const reason = this.storage.letGo(key);
    this.unkept = reason && `${label} is open here and not kept: ${reason}.`;
    return files;
  }

  private load(place: Place, name: string, fetchFiles: FetchFiles): Promise<boolean> {
    if (this.busy) return Promise.resolve(false);
    this.opening = this.fetchAndOpen(place, name, fetchFiles);
    return this.opening;
  }

  /** Fetches, opens and locks the network. What was open before stays open if any of it fails. */
  private async fetchAndOpen(place: Place, name: string, fetchFiles: FetchFiles): Promise<boolean> {
    this.unkept = null;
    let link = this.begin(place, name, 'Fetching');
    try {
      const fetched = await fetchFiles(link);
      link.signal.throwIfAborted();
      link = this.begin(place, name, 'Reading the weights');
      const client = await this.trainer.client();
      const baseDtype = this.recipe.loaded ? this.recipe.value.base_dtype : 'auto';
      const label = fetched.base ?? fetched.label;
      const onProgress = (done: number, total: number) => {
        if (this.busy) this.busy = { ...this.busy, share: total > 0 ? done / total : 0 };
        this.changed();
      };
      const { signal } = link;
      const report = await client.openModel(fetched.files, label, { baseDtype, onProgress, signal });
      this.open = { ...fetched, report };
      await this.samples.load();
      await this.network.lock();
      return true;
    } catch (error) {
      if (!link.signal.aborted) this.error = { place, problem: problem(error) };
      return false;
    } finally {
      this.busy = null;
      await this.refreshStored();
    }
  }

  private begin(place: Place, name: string, what: string): Link {
    this.error = null;
    this.busy = { place, name, what, transfer: null, share: 0, wait: null };
    this.abort = new AbortController();
    this.changed();
    return { signal: this.abort.signal, onWait: this.onWait };
  }

  private readonly onWait = (wait: Wait | null): void => {
    if (!this.busy) return;
    this.busy = { ...this.busy, wait };
    this.changed();
  };

  private readonly onTransfer = (transfer: Transfer): void => {
    if (!this.busy) return;
    this.busy = { ...this.busy, transfer, share: transfer.total > 0 ? transfer.done / transfer.total : 0 };
    this.changed();
  };
}

function knownBase(source: ModelSource): string | null {
  if (source.kind === 'hub') return source.repo;
  return source.kind === 'bundled' ? baseOf(source.name) : null;
}
