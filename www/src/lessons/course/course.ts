import type { Lesson } from '../lesson.js';
import { forget } from './forget.js';
import { methods } from './methods.js';
import { overfit } from './overfit.js';
import { predicts } from './predicts.js';
import { rlhf } from './rlhf.js';
import { style } from './style.js';

/** All lessons, in the order in which they build on one another. */
export const COURSE: Lesson[] = [predicts, style, overfit, forget, rlhf, methods];
