/**
 * `<loralet-trainer>`: importing this defines it.
 *
 * ```html
 * <script type="module" src="loralet/element.js"></script>
 * <loralet-trainer model="tiny" data="goats.jsonl" recipe='{"train": {"max_steps": 40}}'></loralet-trainer>
 * ```
 */
import type { TrainerEventMap } from './events.js';
import { Trainer } from './loralet-trainer.js';
import type { TrainerElement } from './trainer-element.js';

/** The element's class. */
export const LoraletTrainer: { new (): TrainerElement; prototype: TrainerElement } = Trainer;
export type LoraletTrainer = TrainerElement;
export type { AskOptions } from './ask-options.js';
export type { AdapterFormat, TrainerElement } from './trainer-element.js';
export type { ErrorDetail, FinishDetail, ReadyDetail, TrainerEventMap } from './events.js';
export type { ErrorKind, StepReport } from '../engine/index.js';

// A second copy of the library on a page leaves the first one in its place.
if (!customElements.get('loralet-trainer')) customElements.define('loralet-trainer', Trainer);

declare global {
  interface HTMLElementTagNameMap {
    'loralet-trainer': TrainerElement;
  }
  interface GlobalEventHandlersEventMap {
    'loralet-ready': TrainerEventMap['loralet-ready'];
    'loralet-step': TrainerEventMap['loralet-step'];
    'loralet-finish': TrainerEventMap['loralet-finish'];
    'loralet-error': TrainerEventMap['loralet-error'];
  }
}
