import { LoraletError, type ErrorArgs, type ErrorKind } from '../engine/index.js';
import { sentence } from './words/sentence.js';

/** What went wrong, as it stands beside its cause: programs look at `kind` and `key`, people read `text`. */
export interface Problem {
  kind: ErrorKind;
  key: string | null;
  args: ErrorArgs;
  /** A sentence. */
  text: string;
}

export function problem(error: unknown): Problem {
  const { kind, key, args, message } =
    error instanceof LoraletError ? error : new LoraletError('unexpected', messageOf(error));
  return { kind, key, args, text: sentence(message) };
}

/** A problem that is somebody else's as well. */
export function thrown({ kind, key, args, text }: Problem): LoraletError {
  return new LoraletError(kind, text, { key, args });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
