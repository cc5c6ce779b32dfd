/** Where what was trained can go, and what each program wants of it. */
import type { ExportRequest } from '../../engine/index.js';

export interface Offer {
  /** Of its button, for tests and programs. */
  name: string;
  label: string;
  request: ExportRequest;
}

export interface Destination {
  name: string;
  title: string;
  /** What one gets. */
  what: string;
  offers: Offer[];
  /** The files belong together: they come as one zip, of this name. */
  zip: string | null;
  /** Which of the lines that say how a format is used are this program's. */
  usage: RegExp;
  /** Whether the Modelfile beside the weights is for it. */
  modelfile: boolean;
}

const WHOLE: ExportRequest = { format: 'merged-gguf', dtype: 'q8_0' };
const ADAPTER: ExportRequest = { format: 'gguf-lora', dtype: 'f16' };

export const OLLAMA: Destination = {
  name: 'ollama',
  title: 'Ollama',
  what: 'A GGUF file and a Modelfile with the chat template, side by side in one folder. The adapter alone also needs the GGUF file of its base there.',
  offers: [
    { name: 'ollama-merged-gguf', label: 'Whole model, Q8_0', request: WHOLE },
    { name: 'ollama-gguf-lora', label: 'Adapter', request: ADAPTER },
  ],
  zip: null,
  usage: /^ollama /,
  modelfile: true,
};

export const LLAMA_CPP: Destination = {
  name: 'gguf',
  title: 'LM Studio or llama.cpp',
  what: 'One GGUF file. The whole model stands alone, in 8 bits; LM Studio wants it. The adapter is small and runs beside the GGUF file of its base.',
  offers: [
    { name: 'download-merged-gguf', label: 'Whole model, Q8_0', request: WHOLE },
    { name: 'download-gguf-lora', label: 'Adapter', request: ADAPTER },
  ],
  zip: null,
  usage: /^(llama-cli|lms) /,
  modelfile: false,
};

export const MLX: Destination = {
  name: 'mlx',
  title: 'MLX',
  what: 'The adapter as a folder for mlx-lm, on a Mac with Apple silicon.',
  offers: [{ name: 'download-mlx', label: 'Adapter (.zip)', request: { format: 'mlx', dtype: null } }],
  zip: 'mlx-adapter.zip',
  usage: /^mlx/,
  modelfile: false,
};

export const MERGED: Destination = {
  name: 'merged',
  title: 'Merged files',
  what: 'The whole model with the adapter in it, in 16 bits, as a Hugging Face folder: for transformers, vLLM and every converter.',
  offers: [{ name: 'download-merged', label: 'Model (.zip)', request: { format: 'merged', dtype: 'f16' } }],
  zip: 'merged-model.zip',
  usage: /./,
  modelfile: false,
};
