/** What an element is asked to do: its attributes, read and checked. */
import { DEFAULT_ENDPOINT, LoraletError, CARRIED, nameOf, type DeviceChoice } from '../engine/index.js';

/** Parts of the element, in the order in which they stand. */
const VIEWS = ['data', 'settings', 'train', 'try', 'export', 'runs'] as const;
export type View = (typeof VIEWS)[number];
export const DEFAULT_VIEWS = 'train try';

const DEVICES: DeviceChoice[] = ['auto', 'webgpu', 'cpu'];

/** Rows between the tags, by the type of their `<script>`. */
const INLINE: Record<string, string> = {
  'application/jsonl': 'rows.jsonl',
  'application/json': 'rows.json',
  'text/csv': 'rows.csv',
  'text/plain': 'rows.txt',
};
const INLINE_SCRIPT = Object.keys(INLINE)
  .map((type) => `:scope > script[type="${type}"]`)
  .join(', ');

export type ModelPlace =
  | { kind: 'carried' }
  | { kind: 'url'; url: string }
  /** `weights` is the name of a GGUF file, null for the one choice that there is. */
  | { kind: 'hub'; endpoint: string; repo: string; revision: string; weights: string | null };

export type DataPlace = { kind: 'url'; url: string } | { kind: 'inline'; name: string; text: string };

export interface Task {
  model: ModelPlace;
  modelName: string;
  /** Null where a person is to choose. */
  data: DataPlace | null;
  /** The name of its file, or how many lines are between the tags. */
  dataName: string | number | null;
  /** A part of one is enough: the rest is by default. */
  recipe: Record<string, unknown>;
  /** By the recipe; null where the rows decide. */
  steps: number | null;
  device: DeviceChoice;
  views: View[];
  prompts: string[];
}

/** The element as its author wrote it; null is an attribute that was taken away. */
export interface Written {
  model: string | null;
  data: string | null;
  recipe: string | object | null;
  views: string | null;
  device: string | null;
  prompts: string | string[] | null;
  hub: string | null;
}

/** Throws one sentence for the author of the page, whose `key` is the attribute. */
export function readTask(written: Written, element: Element): Task {
  const views = readViews(written.views ?? DEFAULT_VIEWS);
  const { data, dataName } = readData(written.data ?? '', element);
  if (!data && !views.includes('data') && views.includes('train'))
    throw wrong(
      'data',
      'it has no data: give it a data attribute, rows in a <script type="application/jsonl"> inside it, or the view "data"',
    );
  const recipe = readRecipe(written.recipe ?? '');
  const [model, modelName] = readModel(written, element.baseURI);
  return {
    model,
    modelName,
    data,
    dataName,
    recipe,
    steps: stepsOf(recipe),
    device: readDevice(written.device || recipe.device),
    views,
    prompts: readPrompts(written.prompts ?? ''),
  };
}

function readModel({ model, hub }: Written, base: string): [ModelPlace, string] {
  const name = (model ?? '').trim();
  if (name === '')
    throw wrong('model', `it has no model: give it a model attribute, such as model="${CARRIED}"`);
  if (name === CARRIED) return [{ kind: 'carried' }, CARRIED];
  const onHub = /^(?<repo>[\w.-]+\/[\w.-]+)(@(?<revision>[\w.-]+))?(\/(?<weights>[^/]+\.gguf))?$/i.exec(name);
  const isAddress =
    /^(\.{0,2}\/|[a-z][a-z0-9+.-]*:)/i.test(name) || (!onHub?.groups?.weights && /\.gguf$/i.test(name));
  if (isAddress) {
    const url = addressOf('model', name, base);
    return [{ kind: 'url', url }, nameOf(url)];
  }
  if (!onHub?.groups)
    throw wrong(
      'model',
      `model is "${name}", but ${CARRIED}, a Hub id such as HuggingFaceTB/SmolLM2-135M-Instruct, or an address such as ./model/ or model.gguf was expected`,
    );
  const { repo = '', revision = 'main', weights = null } = onHub.groups;
  const endpoint = !hub ? DEFAULT_ENDPOINT : addressOf('hub', hub, base);
  return [{ kind: 'hub', endpoint, repo, revision, weights }, weights ?? repo];
}

function readData(address: string, element: Element): Pick<Task, 'data' | 'dataName'> {
  if (address.trim() !== '') {
    const url = addressOf('data', address.trim(), element.baseURI);
    return { data: { kind: 'url', url }, dataName: nameOf(url) };
  }
  const script = element.querySelector(INLINE_SCRIPT);
  if (!script) return { data: null, dataName: null };
  const text = withoutIndent(script.textContent);
  const name = INLINE[script.getAttribute('type') ?? ''] ?? 'rows.jsonl';
  return { data: { kind: 'inline', name, text }, dataName: text.split('\n').length };
}

/** The lines as they were before they were moved to the right, to stand well in a page. */
function withoutIndent(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const indents = lines.map((line) => line.length - line.trimStart().length);
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent).trimEnd()).join('\n');
}

function readRecipe(recipe: string | object): Record<string, unknown> {
  if (typeof recipe === 'object') return { ...recipe };
  if (recipe.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(recipe);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw wrong('recipe', `recipe is not valid JSON: ${reason}`);
  }
  throw wrong('recipe', 'recipe is not an object, such as {"train": {"max_steps": 40}}');
}

function stepsOf(recipe: Record<string, unknown>): number | null {
  const steps = (recipe.train as { max_steps?: unknown } | undefined)?.max_steps;
  return typeof steps === 'number' ? steps : null;
}

function readDevice(device: unknown): DeviceChoice {
  const found = DEVICES.find((choice) => choice === (device ?? 'auto'));
  if (found) return found;
  throw wrong('device', `device is "${String(device)}", but ${DEVICES.join(', ')} was expected`);
}

function readViews(text: string): View[] {
  const asked = text.trim().split(/\s+/);
  const unknown = asked.find((name) => !VIEWS.some((view) => view === name));
  if (unknown !== undefined)
    throw wrong('views', `views has "${unknown}", but only ${VIEWS.join(', ')} are known`);
  return VIEWS.filter((view) => asked.includes(view));
}

/** A JSON list, or one prompt. */
function readPrompts(prompts: string | string[]): string[] {
  if (Array.isArray(prompts)) return prompts;
  const text = prompts.trim();
  if (!text.startsWith('[')) return text === '' ? [] : [text];
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((prompt) => typeof prompt === 'string')) return list;
  } catch {
    // The sentence below says it.
  }
  throw wrong('prompts', 'prompts is not a JSON list of texts, such as ["Who is Pip?"]');
}

function addressOf(attribute: string, address: string, base: string): string {
  try {
    return new URL(address, base).href;
  } catch {
    throw wrong(attribute, `${attribute} is "${address}", which is not an address`);
  }
}

function wrong(attribute: string, sentence: string): LoraletError {
  return new LoraletError('invalid_setting', sentence, { key: attribute });
}
