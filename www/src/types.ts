/**
 * What the page and the trainer tell each other: recipes, reports, results.
 *
 * Field names are the Rust structs' own; lengths are in tokens, sizes in bytes, times in seconds.
 */

export type Objective = 'text' | 'sft';
export type Method = 'lora' | 'full';
export type SchedulerType = 'linear' | 'cosine' | 'constant' | 'constant_with_warmup';
export type DeviceChoice = 'auto' | 'webgpu' | 'cpu';
export type DataShape = 'text' | 'prompt_completion' | 'messages' | 'share_gpt' | 'alpaca';

export interface Recipe {
  objective: Objective;
  method: Method;
  lora: {
    rank: number;
    alpha: number;
    dropout: number;
    target_modules: string[];
    use_rslora: boolean;
    use_dora: boolean;
  };
  train: {
    learning_rate: number;
    epochs: number;
    max_steps: number | null;
    batch_size: number;
    gradient_accumulation_steps: number;
    max_seq_length: number;
    packing: boolean;
    lr_scheduler_type: SchedulerType;
    warmup_ratio: number;
    weight_decay: number;
    max_grad_norm: number;
    seed: number;
  };
  eval: {
    validation_fraction: number;
    eval_steps: number;
    early_stopping_patience: number | null;
    forgetting_probe: boolean;
  };
  data: { train_on_prompt: boolean; mapping: Record<string, unknown> | null };
  device: DeviceChoice;
  base_dtype: 'auto' | 'f32';
}

export interface DeviceReport {
  kind: 'webgpu' | 'cpu';
  name: string;
  reason: string;
  is_fallback: boolean;
}

export interface ModelFile {
  name: string;
  blob: Blob;
}

export interface ModelReport {
  name: string;
  architecture: string;
  source_format: 'gguf' | 'safetensors';
  parameters: number;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  intermediate_size: number;
  vocab_size: number;
  max_position_embeddings: number;
  tied_embeddings: boolean;
  /** Storage types and how many tensors have each. */
  stored_as: string;
  file_bytes: number;
  has_chat_template: boolean;
  /** The tokens that end an answer. */
  end_of_turn: string[];
}

export interface PreviewPiece {
  text: string;
  trained: boolean;
}

export interface PreviewRow {
  row: number;
  line: number;
  pieces: PreviewPiece[];
  tokens: number;
  trained_tokens: number;
  truncated: boolean;
}

export interface RowList {
  count: number;
  /** The first twenty, by line number. */
  rows: number[];
}

export interface DataReport {
  file: string;
  shape: DataShape;
  shape_label: string;
  rows: number;
  examples: number;
  tokens: number;
  trained_tokens: number;
  length_min: number;
  length_median: number;
  length_p95: number;
  length_max: number;
  length_histogram: { from: number; to: number; count: number }[];
  duplicates: RowList;
  empty: RowList;
  truncated: RowList;
  fully_masked: RowList;
  notes: string[];
}

export interface DataSummary {
  report: DataReport;
  preview: PreviewRow[];
}

export interface Plan {
  recipe: Recipe;
  total_steps: number;
  steps_per_epoch: number;
  warmup_steps: number;
  trainable_parameters: number;
  total_parameters: number;
  train_examples: number;
  validation_examples: number;
}

export interface Evaluation {
  loss: number;
  perplexity: number;
  tokens: number;
  examples: number;
}

export interface StepReport {
  step: number;
  total_steps: number;
  epoch: number;
  loss: number;
  learning_rate: number;
  grad_norm: number;
  tokens: number;
  tokens_per_second: number;
  seconds: number;
  evaluation: Evaluation | null;
  finished: boolean;
}

export interface Message {
  role: string;
  content: string;
}

export interface GenerateRequest {
  messages?: Message[];
  prompt?: string;
  raw?: boolean;
  adapter: boolean;
  max_new_tokens: number;
  temperature: number;
  top_k: number | null;
  top_p: number | null;
  seed: number;
}

export interface GenerateReport {
  text: string;
  prompt_tokens: number;
  tokens: number;
  seconds: number;
  stopped: 'end_of_turn' | 'length' | 'caller';
}

export interface MemoryReport {
  wasm_bytes: number;
  wasm_peak_bytes: number;
  gpu_bytes: number | null;
}

export interface AdapterFile {
  name: string;
  bytes: Uint8Array;
}
