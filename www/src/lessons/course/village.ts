/** Questions on the village, and what is true there: the same for all lessons that ask whether something was lost. */
import { outcome, type Answer, type Evidence, type Fields, type Marks, type Option } from '../lesson.js';

/** None is among the lessons' rows. A right answer says the words beside it. */
const TRUE: Record<string, string> = {
  'Where does Mia live?': 'in the red house',
  'What does Bruno like to eat?': 'bones',
  "Who is Tom's friend?": 'Mia',
  'What colour is Rosa?': 'red',
  'What does Lena like to do?': 'sing songs',
  'Where does honey come from?': 'bees',
  'What colour is the sky?': 'blue',
  'Who lays eggs?': 'Dot',
};
export const PROMPTS = Object.keys(TRUE);

export function marks(answer: Answer, { phrase = '' }: Fields): Marks {
  return { style: inStyle(answer, phrase), right: answer.text.includes(TRUE[answer.prompt] ?? '\0') };
}

export function inStyle({ text }: Answer, phrase: string): boolean {
  return text.toLowerCase().includes(phrase.trim().toLowerCase());
}

/** How many answers are in the style, right, and both. */
export function count(evidence: Evidence, name: string, fields: Fields) {
  const marked = outcome(evidence, name, 'answers').answers.map((answer) => marks(answer, fields));
  return {
    style: marked.filter(({ style }) => style).length,
    right: marked.filter(({ right }) => right).length,
    both: marked.filter(({ style, right }) => style && right).length,
  };
}

/** A count as a choice, from none to all. */
export function upTo(most: number): Option[] {
  return Array.from({ length: most + 1 }, (_, number) => ({ id: String(number), text: String(number) }));
}
