/** What the element says, by language. What the trainer says, such as the sentence of an error, is in English. */
import type { ChartNames } from '../ui/charts/curve-chart.js';

export interface Words {
  train: string;
  trainAgain: string;
  load: string;
  loading: string;
  training: string;
  pause: string;
  pausing: string;
  goOn: string;
  stop: string;
  stopping: string;
  cancel: string;
  /** Before anything is loaded. */
  offer(model: string, data: string | number | null, steps: number | null): string;
  loadingTrainer: string;
  loadingData: string;
  reading(model: string, share: string): string;
  fetching(file: string, done: string, total: string): string;
  waiting(why: string, seconds: number): string;
  ready: string;
  firstStep: string;
  step(step: number, total: number, left: string): string;
  pausedAt(step: number, total: number): string;
  stoppedAt(step: number): string;
  finished(steps: number, time: string): string;
  restored(steps: number, time: string, best: number): string;
  failed: string;
  where(device: string): string;
  cpu: string;
  gpu: string;
  chart: string;
  chartNames: ChartNames;
  question: string;
  textToLabel: string;
  ask: string;
  stopAnswer: string;
  examples: string;
  before: string;
  after(step: number): string;
  untrained: string;
  silent: string;
  cut: string;
  answering: string;
  settings: string;
  data: string;
  export: string;
  runs: string;
}

const en: Words = {
  train: 'Train',
  trainAgain: 'Train again',
  load: 'Load',
  loading: 'Loading',
  training: 'Training',
  pause: 'Pause',
  pausing: 'Pausing',
  goOn: 'Continue',
  stop: 'Stop',
  stopping: 'Stopping',
  cancel: 'Cancel',
  offer: (model, data, steps) =>
    [
      model,
      ...(data === null ? [] : [`learns from ${typeof data === 'number' ? `${data} lines` : data}`]),
      ...(data === null || steps === null ? [] : [`in ${steps} ${steps === 1 ? 'step' : 'steps'}`]),
    ].join(' ') + ', here in this tab.',
  loadingTrainer: 'Loading the trainer …',
  loadingData: 'Reading the data …',
  reading: (model, share) => `Opening ${model}: ${share}`,
  fetching: (file, done, total) => `${file}: ${done} of ${total}`,
  waiting: (why, seconds) => `${why}; going on in ${seconds} s.`,
  ready: 'Ready.',
  firstStep: 'The first step is the slowest …',
  step: (step, total, left) => `Step ${step} of ${total}, about ${left} left.`,
  pausedAt: (step, total) => `Paused at step ${step} of ${total}.`,
  stoppedAt: (step) => `Stopped after step ${step}.`,
  finished: (steps, time) => `Done: ${steps} steps in ${time}.`,
  restored: (steps, time, best) => `Done: ${steps} steps in ${time}; step ${best} was the best, and is kept.`,
  failed: 'The run ended with an error.',
  where: (device) => `Trains in this tab, on ${device}. Nothing is uploaded.`,
  cpu: 'the CPU',
  gpu: 'the GPU',
  chart: 'The loss is drawn here as it learns: lower is better.',
  chartNames: {
    step: 'Step',
    firstStep: 'step 1',
    training: null,
    validation: null,
    general: 'General text',
    look: 'Look at a step',
  },
  question: 'Ask it something',
  textToLabel: 'A text to label',
  ask: 'Ask',
  stopAnswer: 'Stop',
  examples: 'Questions to try',
  before: 'Before',
  after: (step) => `After step ${step}`,
  untrained: 'Train some steps to compare.',
  silent: 'It said nothing.',
  cut: 'Cut at the longest answer allowed.',
  answering: 'Answering …',
  settings: 'Settings',
  data: 'Data',
  export: 'Download',
  runs: 'Runs',
};

const de: Words = {
  train: 'Trainieren',
  trainAgain: 'Noch einmal trainieren',
  load: 'Laden',
  loading: 'Lädt',
  training: 'Training',
  pause: 'Anhalten',
  pausing: 'Hält an',
  goOn: 'Weiter',
  stop: 'Beenden',
  stopping: 'Endet',
  cancel: 'Abbrechen',
  offer: (model, data, steps) =>
    [
      model,
      ...(data === null ? [] : [`lernt aus ${typeof data === 'number' ? `${data} Zeilen` : data}`]),
      ...(data === null || steps === null ? [] : [`in ${steps} ${steps === 1 ? 'Schritt' : 'Schritten'}`]),
    ].join(' ') + ', hier in diesem Tab.',
  loadingTrainer: 'Der Trainer wird geladen …',
  loadingData: 'Die Daten werden gelesen …',
  reading: (model, share) => `${model} wird geöffnet: ${share}`,
  fetching: (file, done, total) => `${file}: ${done} von ${total}`,
  waiting: (why, seconds) => `${why}; weiter in ${seconds} s.`,
  ready: 'Bereit.',
  firstStep: 'Der erste Schritt dauert am längsten …',
  step: (step, total, left) => `Schritt ${step} von ${total}, noch etwa ${left}.`,
  pausedAt: (step, total) => `Angehalten bei Schritt ${step} von ${total}.`,
  stoppedAt: (step) => `Beendet nach Schritt ${step}.`,
  finished: (steps, time) => `Fertig: ${steps} Schritte in ${time}.`,
  restored: (steps, time, best) =>
    `Fertig: ${steps} Schritte in ${time}; Schritt ${best} war der beste und wird behalten.`,
  failed: 'Der Lauf endete mit einem Fehler.',
  where: (device) => `Trainiert in diesem Tab, auf ${device}. Nichts wird hochgeladen.`,
  cpu: 'dem Prozessor',
  gpu: 'der Grafikkarte',
  chart: 'Hier erscheint der Fehler (loss), während es lernt: je niedriger, desto besser.',
  chartNames: {
    step: 'Schritt',
    firstStep: 'Schritt 1',
    training: 'Training',
    validation: 'Validierung',
    general: 'Allgemeiner Text',
    look: 'Einen Schritt ansehen',
  },
  question: 'Frag es etwas',
  textToLabel: 'Ein Text zum Einordnen',
  ask: 'Fragen',
  stopAnswer: 'Stopp',
  examples: 'Fragen zum Ausprobieren',
  before: 'Vorher',
  after: (step) => `Nach Schritt ${step}`,
  untrained: 'Trainiere ein paar Schritte, um zu vergleichen.',
  silent: 'Es hat nichts gesagt.',
  cut: 'Abgeschnitten: länger darf die Antwort nicht sein.',
  answering: 'Antwortet …',
  settings: 'Einstellungen',
  data: 'Daten',
  export: 'Herunterladen',
  runs: 'Läufe',
};

const LANGUAGES: Record<string, Words> = { en, de };

/** The language that is spoken where `lang` is asked for: that one, or English. */
export function languageOf(lang: string): string {
  const [language = ''] = lang.toLowerCase().split('-');
  return language in LANGUAGES ? language : 'en';
}

export function wordsIn(language: string): Words {
  return LANGUAGES[language] ?? en;
}
