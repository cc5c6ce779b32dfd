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

let all: Promise<{ sample: Sample; bytes: Uint8Array<ArrayBuffer> }[]> | undefined;

export function loadSamples(): Promise<{ sample: Sample; bytes: Uint8Array<ArrayBuffer> }[]> {
  all ??= fetchSamples().catch(() => []);
  return all;
}

async function fetchSamples(): Promise<{ sample: Sample; bytes: Uint8Array<ArrayBuffer> }[]> {
  const samples = (await (await fetch('./samples/index.json')).json()) as Sample[];
  return Promise.all(
    samples.map(async (sample) => {
      const response = await fetch(`./samples/${sample.file}`);
      return { sample, bytes: new Uint8Array(await response.arrayBuffer()) };
    }),
  );
}
