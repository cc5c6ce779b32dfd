/** How to answer a prompt. */
export interface AskOptions {
  /** Who answers: by default the tuned model, or the base while nothing is trained. */
  model?: 'tuned' | 'base';
  /** A system prompt. */
  system?: string;
  /** 96 by default. */
  maxNewTokens?: number;
  /** 0, the default, takes the likeliest token every time. */
  temperature?: number;
  /** Called with each piece of the answer. */
  onText?: (delta: string) => void;
  /** Ends the answer: it has what was written until then. */
  signal?: AbortSignal;
}
