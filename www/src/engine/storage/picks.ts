/**
 * What a person picked: `picks/<model>.json`, one file a model.
 *
 * A file that cannot be read is never overwritten: it is set aside under another name.
 */
import { writeFile, type Folders } from './files.js';
import type { Locks } from './locks.js';

export type Verdict = 'first' | 'second' | 'both_good' | 'both_bad';

export interface Pick {
  prompt: string;
  /** The two answers, in the order in which they were shown. */
  answers: [string, string];
  verdict: Verdict;
  pickedAt: string;
  /** Who answered: the base, or the adapter at a step. */
  step: number | null;
}

export class PickStorage {
  constructor(
    private readonly folders: Folders,
    private readonly locks: Locks,
  ) {}

  async read(model: string): Promise<Pick[]> {
    const text = await this.content(model);
    if (text === null) return [];
    const picks = parse(text);
    if (picks) return picks;
    const place = await this.folders.make(['picks']);
    await writeFile(place, `${fileOf(model)}.${String(Date.now())}.unreadable`, text);
    await place.removeEntry(fileOf(model));
    return [];
  }

  /** Changes the picks as they lie in storage, where another tab may have changed some; answers what lies there then. */
  change(model: string, change: (picks: Pick[]) => Pick[]): Promise<Pick[]> {
    return this.locks.inTurn(`picks ${model}`, async () => {
      const picks = change(await this.read(model));
      const place = await this.folders.make(['picks']);
      await writeFile(place, fileOf(model), JSON.stringify({ version: 1, picks }));
      return picks;
    });
  }

  private async content(model: string): Promise<string | null> {
    const place = await this.folders.existing(['picks']);
    try {
      return (await (await place?.getFileHandle(fileOf(model)))?.getFile())?.text() ?? null;
    } catch {
      return null;
    }
  }
}

function parse(text: string): Pick[] | null {
  try {
    const value = JSON.parse(text) as { version?: unknown; picks?: unknown };
    return value.version === 1 && Array.isArray(value.picks) && value.picks.every(isPick)
      ? value.picks
      : null;
  } catch {
    return null;
  }
}

function isPick(value: unknown): value is Pick {
  if (typeof value !== 'object' || value === null) return false;
  const { prompt, answers, verdict } = value as Partial<Record<keyof Pick, unknown>>;
  return (
    typeof prompt === 'string' &&
    Array.isArray(answers) &&
    answers.length === 2 &&
    answers.every((answer) => typeof answer === 'string') &&
    typeof verdict === 'string' &&
    ['first', 'second', 'both_good', 'both_bad'].includes(verdict)
  );
}

function fileOf(model: string): string {
  return `${encodeURIComponent(model)}.json`;
}
