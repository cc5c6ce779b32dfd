/** The sample data sets, fetched at the start because the network is locked once a model is open. */

export interface Sample {
  file: string;
  label: string;
  description: string;
  /** What the sample is meant for: `tiny`, `encoder`, or `any` other model. */
  models: string[];
  /** Prompts that show what the sample teaches. */
  prompts: string[];
  /** Settings that suit it, by dotted key. */
  settings: Record<string, number | string>;
}

export interface LoadedSample {
  sample: Sample;
  bytes: Uint8Array<ArrayBuffer>;
}

export class Samples {
  private all: Promise<LoadedSample[]> | undefined;

  /** `areThere`: whether the page's own server has samples. */
  constructor(private readonly areThere = true) {}

  /** All of them; empty where they cannot be had. */
  load(): Promise<LoadedSample[]> {
    if (!this.areThere) return Promise.resolve([]);
    this.all ??= fetchSamples().catch(() => []);
    return this.all;
  }
}

async function fetchSamples(): Promise<LoadedSample[]> {
  const samples = (await (await fetch('./samples/index.json')).json()) as Sample[];
  return Promise.all(
    samples.map(async (sample) => {
      const response = await fetch(`./samples/${sample.file}`);
      return { sample, bytes: new Uint8Array(await response.arrayBuffer()) };
    }),
  );
}
