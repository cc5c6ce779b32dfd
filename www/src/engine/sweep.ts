/** Carries out a sweep on a trainer: what the page and `cargo xtask sweep` share. */
import type { Evaluation, Measured, Plan, StepReport, SweepPlan } from './types.js';
import { LoraletError, isFatal, wasStopped } from './errors.js';
import type { Trainer } from './trainer.js';

/** How a run of a sweep ended; `outdone` is what successive halving does to the worse half. */
export type SweepEnd = 'finished' | 'outdone' | 'failed' | 'stopped';

/** What a sweep tells meanwhile; runs are named by their place in the plan. */
export interface SweepListener {
  /** A run begins, or goes on in a later rung. */
  onRun(run: number, rung: number, plan: Plan): void;
  onStep(run: number, report: StepReport): void;
  /** A validation between two steps, by which the runs of a rung are compared. */
  onEvaluation(run: number, step: number, evaluation: Evaluation): void;
  onEnd(run: number, how: SweepEnd, error: string | null): void;
}

/**
 * Two steps and a validation of each run whose cost is its own. A run that cannot begin is left out here and fails later;
 * if none can, the first reason is thrown.
 */
export async function measure(trainer: Trainer, plan: SweepPlan): Promise<Measured[]> {
  const measured: Measured[] = [];
  const reasons: unknown[] = [];
  for (const [run, { costs_like }] of plan.runs.entries()) {
    if (costs_like !== run) continue;
    await measureRun(trainer, plan, run).then(
      (one) => measured.push(one),
      (error: unknown) => {
        if (isFatal(error)) throw error;
        reasons.push(error);
      },
    );
  }
  await trainer.resetTraining();
  if (measured.length === 0) throw reasons[0];
  return measured;
}

async function measureRun(trainer: Trainer, plan: SweepPlan, run: number): Promise<Measured> {
  await trainer.resetTraining();
  const beginning = performance.now();
  const begun = await trainer.begin(recipeOf(plan, run), { paused: true });
  const { total_steps } = begun.plan;
  const start_seconds = since(beginning);
  const step = async () => {
    const report = new Promise<StepReport>((resolve) =>
      begun.addEventListener('step', ({ detail }) => resolve(detail), { once: true }),
    );
    const before = performance.now();
    await begun.stepOnce();
    await Promise.race([report, begun.ended]);
    return { seconds: (await report).seconds, wall: since(before) };
  };
  const first = await step();
  // The first step is slower, as it warms up.
  const step_seconds = total_steps > 1 ? (await step()).seconds : first.seconds;
  const before = performance.now();
  await trainer.evaluate();
  // Beside its own work the first step has scored the forgetting probe, as each validation does.
  const evaluation_seconds = since(before) + Math.max(0, first.wall - first.seconds);
  return { run, steps: total_steps, step_seconds, evaluation_seconds, start_seconds };
}

/** Trains the runs of each rung, one after the other, as far as the plan says. An aborted signal stops after the step. */
export async function runSweep(
  trainer: Trainer,
  plan: SweepPlan,
  listener: SweepListener,
  signal: AbortSignal,
): Promise<void> {
  const runs: OpenRun[] = plan.runs.map(newRun);
  let alive = runs.map((_, run) => run);
  try {
    for (const [rung, { share }] of plan.rungs.entries()) {
      const isLast = rung + 1 === plan.rungs.length;
      for (const run of [...alive]) {
        try {
          await trainTo(trainer, plan, { run, rung, share }, runs[run] as OpenRun, listener, signal);
        } catch (error) {
          if (signal.aborted && wasStopped(error)) return;
          if (signal.aborted || isFatal(error)) throw error;
          alive = alive.filter((other) => other !== run);
          runs[run] = newRun();
          listener.onEnd(run, 'failed', error instanceof Error ? error.message : String(error));
        }
        if (signal.aborted) return;
      }
      const losses = runs.map(({ loss }, run) => (alive.includes(run) ? loss : null));
      const next = isLast ? [] : await trainer.sweepSurvivors(plan, rung, losses);
      for (const run of alive.filter((run) => !next.includes(run))) {
        listener.onEnd(run, isLast || runs[run]?.done ? 'finished' : 'outdone', null);
        runs[run] = newRun();
      }
      alive = next;
    }
  } finally {
    for (const run of alive) listener.onEnd(run, 'stopped', null);
    await trainer.resetTraining().catch(() => undefined);
  }
}

interface OpenRun {
  /** Where it goes on in the next rung; a Blob, which the browser may keep on disk. */
  checkpoint: Blob | null;
  /** Steps done, and those of the whole run once it is begun. */
  steps: number;
  total: number;
  /** It needs no further step. */
  done: boolean;
  loss: number | null;
}

function newRun(): OpenRun {
  return { checkpoint: null, steps: 0, total: Infinity, done: false, loss: null };
}

async function trainTo(
  trainer: Trainer,
  plan: SweepPlan,
  { run, rung, share }: { run: number; rung: number; share: number },
  open: OpenRun,
  listener: SweepListener,
  signal: AbortSignal,
): Promise<void> {
  if (open.done || Math.ceil(share * open.total) <= open.steps) return;
  // Two runs at a time would need the memory of both.
  await trainer.resetTraining();
  const waiting = { paused: true, signal };
  const begun = open.checkpoint
    ? await trainer.resumeFrom(new Uint8Array(await open.checkpoint.arrayBuffer()), waiting)
    : await trainer.begin(recipeOf(plan, run), waiting);
  let last: StepReport | null = null;
  begun.addEventListener('step', ({ detail }) => {
    last = detail;
    listener.onStep(run, detail);
  });
  open.total = begun.plan.total_steps;
  listener.onRun(run, rung, begun.plan);
  const pausing = new Promise<void>((resolve) =>
    begun.addEventListener('state', ({ detail }) => {
      if (detail === 'paused') resolve();
    }),
  );
  await begun.trainUntil(Math.ceil(share * begun.plan.total_steps));
  const ended = await Promise.race([begun.ended, pausing]);
  if (ended === 'stopped') return;
  open.done = ended === 'finished';
  const report = last as StepReport | null;
  open.steps = report?.step ?? open.steps;
  let evaluation = report?.restored_step === null ? report.evaluation : null;
  if (!evaluation) {
    evaluation = await trainer.evaluate();
    listener.onEvaluation(run, open.steps, evaluation);
  }
  open.loss = evaluation.loss;
  if (!open.done) open.checkpoint = new Blob([await trainer.saveCheckpoint()]);
}

function recipeOf(plan: SweepPlan, run: number) {
  const found = plan.runs[run];
  if (!found) throw new LoraletError('unexpected', `the sweep has no run ${run}`);
  return found.recipe;
}

function since(start: number): number {
  return (performance.now() - start) / 1000;
}
