/** The shape of everything that the lessons say, so that a translation misses nothing. */

/**
 * Prose. A term of the field stands in brackets after the plain words: "a piece of text [token]". Values stand in braces.
 */
export type Prose = string;

export interface StepWords {
  title: string;
  /** Paragraphs. */
  text: Prose[];
  guess: Prose;
  /** By the id of a guess. */
  guesses: Record<string, string>;
  /** On the button that does it. */
  press: string;
  /** What to look at. */
  see: Prose;
  say: Prose;
  /** By the id of an option. */
  options: Record<string, string>;
  /** Why it is so, by the figures of the run. */
  because: Prose;
  /** What was found, on the card. */
  found: string;
  /** By the name of an outcome: what stands over it on the live part. */
  captions: Record<string, string>;
}

export interface LessonWords {
  title: string;
  /** What one can say afterwards. */
  goal: Prose;
  /** By the names of the fields that a class may change. */
  fields: Record<string, string>;
  steps: Record<string, StepWords>;
  end: Prose[];
}

export interface Words {
  /** As in `lang`. */
  language: string;
  course: {
    title: string;
    lead: Prose;
    minutes: string;
    begin: string;
    goOn: string;
    again: string;
    teachers: Prose;
    studio: string;
  };
  lesson: {
    all: string;
    step: string;
    steps: string;
    guess: string;
    do: string;
    see: string;
    say: string;
    guessFirst: string;
    doFirst: string;
    doing: string;
    training: string;
    stop: string;
    again: string;
    check: string;
    right: string;
    wrong: string;
    guessedRight: string;
    guessedOtherwise: string;
    back: string;
    next: string;
    toTheEnd: string;
    end: string;
    live: string;
    nothingYet: string;
    loading: string;
    start: string;
    anew: string;
    anewSure: string;
    classVersion: string;
    ownVersion: string;
    /** Guess, do, see, say on the sheet. */
    sheet: string;
    sheetName: string;
    sheetAnswer: string;
    print: string;
  };
  live: {
    probability: string;
    otherPieces: string;
    pick: string;
    picked: string;
    surprises: string;
    /** What the dots are, and the two texts named beside them. */
    strip: string;
    mostExpected: string;
    leastExpected: string;
    inStyle: string;
    isRight: string;
    neither: string;
  };
  card: {
    title: string;
    name: string;
    save: string;
    guessed: string;
    made: string;
    label: string;
    file: string;
  };
  share: {
    title: string;
    lead: Prose;
    steps: string;
    rows: string;
    rowsHint: string;
    copy: string;
    copied: string;
    size: string;
    tooLong: string;
    badRow: string;
    noRows: string;
  };
  lessons: Record<string, LessonWords>;
}
