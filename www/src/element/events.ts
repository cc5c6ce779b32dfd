import type { ErrorKind, StepReport } from '../engine/index.js';

/** What `loralet-ready` tells. */
export interface ReadyDetail {
  /** The open model's name. */
  model: string;
  /** What it computes on. */
  device: 'cpu' | 'webgpu';
}

/** What `loralet-finish` tells. */
export interface FinishDetail {
  /** Whether the run came to its end, or was stopped. */
  how: 'finished' | 'stopped';
  /** The last step; null where there was none. */
  report: StepReport | null;
}

/** What `loralet-error` tells. Programs act by `kind` and `key`, people read `message`, one sentence. */
export interface ErrorDetail {
  kind: ErrorKind;
  /** What it is about: an attribute, a dotted setting, a file. Null where `kind` says it all. */
  key: string | null;
  message: string;
}

/** The events of the element. They bubble, also out of shadow trees. */
export interface TrainerEventMap {
  /** The trainer has started, and model and data are open. */
  'loralet-ready': CustomEvent<ReadyDetail>;
  /** A step is done. */
  'loralet-step': CustomEvent<StepReport>;
  /** The run has ended; the adapter stays. */
  'loralet-finish': CustomEvent<FinishDetail>;
  /** Something failed; the sentence stands in the element as well. */
  'loralet-error': CustomEvent<ErrorDetail>;
}

export type Tell = <K extends keyof TrainerEventMap>(name: K, detail: TrainerEventMap[K]['detail']) => void;
