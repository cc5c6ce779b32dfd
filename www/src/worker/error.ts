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

  static of(error: WireError): TrainerError {
    return new TrainerError(error.kind, error.message);
  }

  /** After this the worker can do nothing more. */
  get isFatal(): boolean {
    return ['crashed', 'device_lost', 'worker', 'terminated'].includes(this.kind);
  }
}
