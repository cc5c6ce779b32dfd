/** Errors as they cross between worker and page, and as the engine throws them. */
import type { ErrorKind as TrainerErrorKind } from './generated/ErrorKind.js';
import type { ErrorReport } from './generated/ErrorReport.js';

/** What kind of error. Those of the trainer come from Rust (`src/error.rs`). */
export type ErrorKind =
  | TrainerErrorKind
  /** WebAssembly trapped. */
  | 'crashed'
  /** The worker ended, or never came up. */
  | 'worker'
  /** The trainer was closed on purpose. */
  | 'terminated'
  /** The browser keeps nothing for the page, or nothing more. */
  | 'storage'
  /** Another tab, or another workspace, has it open; `key` is its name. */
  | 'in_use'
  /** What is kept of the model `key` is not whole. */
  | 'incomplete'
  /** Not an address or a repository's id; `key` is `endpoint` or `repo`. */
  | 'invalid_address'
  /** The host could not be reached, or the connection broke; `key` is the file or the repository, as in those below. */
  | 'unreachable'
  /** The host asks to wait. */
  | 'busy'
  /** The host answers, and gives nothing. */
  | 'refused'
  /** The host sent something else than was asked for. */
  | 'wrong_answer'
  /** The repository has no weights that can be opened. */
  | 'no_weights'
  /** Something else comes first; `key` is what: a model, data. */
  | 'not_ready'
  /** Nothing to choose between was sampled. */
  | 'same_answers'
  /** A fault of ours. */
  | 'unexpected';

/** The values in an error's sentence, by name. */
export type ErrorArgs = Record<string, string>;

/** An error as it crosses the boundary. */
export type WireError = Omit<ErrorReport, 'kind'> & { kind: ErrorKind };

/** After these a trainer can do nothing more. */
const FATAL: ErrorKind[] = ['crashed', 'device_lost', 'worker', 'terminated'];

/** An error of the engine: programs act by `kind` and `key`, people read `message`, one sentence. */
export class LoraletError extends Error {
  override readonly name = 'LoraletError';
  /** What the error is about, as it is spelled: a setting's dotted name, a file. Null where `kind` says it all. */
  readonly key: string | null;
  readonly args: ErrorArgs;

  constructor(
    readonly kind: ErrorKind,
    message: string,
    about: { key?: string | null; args?: ErrorArgs; cause?: unknown } = {},
  ) {
    super(message, about.cause === undefined ? {} : { cause: about.cause });
    this.key = about.key ?? null;
    this.args = about.args ?? {};
  }

  /** After this the trainer can do nothing more. */
  get isFatal(): boolean {
    return FATAL.includes(this.kind);
  }
}

/** Whether something failed because a person, or a signal, stopped it. */
export function wasStopped(error: unknown): boolean {
  return error instanceof LoraletError && error.kind === 'stopped';
}

/** Whether the trainer that failed so can do nothing more. */
export function isFatal(error: unknown): boolean {
  return error instanceof LoraletError && error.isFatal;
}

export function fromWire({ kind, key, args, message }: WireError): LoraletError {
  return new LoraletError(kind, message, { key, args });
}

/** An error of any kind, in the form that crosses. */
export function wireError(error: unknown): WireError {
  // A trap inside WebAssembly has no sentence of its own for people.
  if (error instanceof WebAssembly.RuntimeError) {
    const reason = error.message;
    const message = `the trainer crashed (${reason}), which a smaller batch or a shorter sequence may avoid`;
    return { kind: 'crashed', key: null, args: { reason }, message };
  }
  if (isReported(error)) {
    const { kind, key, args, message } = error;
    return { kind, key, args, message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'unexpected', key: null, args: {}, message };
}

/** Those of ours, and of the WebAssembly module (`src/web/error.rs`). */
function isReported(error: unknown): error is WireError & Error {
  return error instanceof Error && error.name === 'LoraletError' && 'kind' in error;
}
