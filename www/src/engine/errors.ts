/** Errors as they cross between worker and page. */
import type { WireError } from './protocol.js';

/** An error of the trainer. `message` is one sentence for people, `kind` a stable code. */
export class TrainerError extends Error {
  override readonly name = 'TrainerError';
  constructor(
    readonly kind: string,
    message: string,
  ) {
    super(message);
  }

  /** After this the worker can do nothing more. */
  get isFatal(): boolean {
    return ['crashed', 'device_lost', 'worker', 'terminated'].includes(this.kind);
  }
}

/** Whether something failed because a person stopped it. */
export function wasStopped(error: unknown): boolean {
  return error instanceof TrainerError && error.kind === 'stopped';
}

export function trainerError(error: WireError): TrainerError {
  return new TrainerError(error.kind, error.message);
}

/** A trap inside WebAssembly has no sentence of its own for people. */
export function wireError(error: unknown): WireError {
  if (error instanceof WebAssembly.RuntimeError) {
    return {
      kind: 'crashed',
      message: `the trainer crashed (${error.message}), which a smaller batch or a shorter sequence may avoid`,
    };
  }
  if (error instanceof Error) {
    const kind = (error as Error & { kind?: unknown }).kind;
    return { kind: typeof kind === 'string' ? kind : 'unexpected', message: error.message };
  }
  return { kind: 'unexpected', message: String(error) };
}
