/** Carries out a sweep on a trainer: what the page and `cargo xtask sweep` share. */
import type { Evaluation, Measured, Plan, StepReport, SweepPlan } from './types.js';
import { TrainerError, type TrainHandlers, type TrainerClient } from './client.js';

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
export async function measure(client: TrainerClient, plan: SweepPlan): Promise<Measured[]> {
  const measured: Measured[] = [];
  const reasons: unknown[] = [];
  for (const [run, { costs_like }] of plan.runs.entries()) {
    if (costs_like !== run) continue;
    await measureRun(client, plan, run).then(
      (one) => measured.push(one),
      (error: unknown) => {
        if (isFatal(error)) throw error;
        reasons.push(error);
      },
    );
  }
  await client.resetTraining();
  if (measured.length === 0) throw reasons[0];
  return measured;
}

async function measureRun(client: TrainerClient, plan: SweepPlan, run: number): Promise<Measured> {
  await client.resetTraining();
  let stepped: (report: StepReport) => void = () => undefined;
  const handlers: TrainHandlers = { onStep: (report) => stepped(report) };
  const beginning = performance.now();
  const { total_steps } = await client.begin(recipeOf(plan, run), handlers, { paused: true });
  const start_seconds = since(beginning);
  const step = async () => {
    const report = new Promise<StepReport>((resolve) => (stepped = resolve));
    const before = performance.now();
    await client.stepOnce();
    await Promise.race([report, client.finished()]);
    return { seconds: (await report).seconds, wall: since(before) };
  };
  const first = await step();
  // The first step is slower, as it warms up.
  const step_seconds = total_steps > 1 ? (await step()).seconds : first.seconds;
  const before = performance.now();
  await client.evaluate();
  // Beside its own work the first step has scored the forgetting probe, as each validation does.
  const evaluation_seconds = since(before) + Math.max(0, first.wall - first.seconds);
  return { run, steps: total_steps, step_seconds, evaluation_seconds, start_seconds };
}

/** Trains the runs of each rung, one after the other, as far as the plan says. An aborted signal stops after the step. */
export async function runSweep(
  client: TrainerClient,
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
          await trainTo(client, plan, { run, rung, share }, runs[run] as OpenRun, listener, signal);
        } catch (error) {
          if (signal.aborted || isFatal(error)) throw error;
          alive = alive.filter((other) => other !== run);
          runs[run] = newRun();
          listener.onEnd(run, 'failed', error instanceof Error ? error.message : String(error));
        }
        if (signal.aborted) return;
      }
      const losses = runs.map(({ loss }, run) => (alive.includes(run) ? loss : null));
      const next = isLast ? [] : await client.sweepSurvivors(plan, rung, losses);
      for (const run of alive.filter((run) => !next.includes(run))) {
        listener.onEnd(run, isLast || runs[run]?.done ? 'finished' : 'outdone', null);
        runs[run] = newRun();
      }
      alive = next;
    }
  } finally {
    for (const run of alive) listener.onEnd(run, 'stopped', null);
    await client.resetTraining().catch(() => undefined);
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
  client: TrainerClient,
  plan: SweepPlan,
  { run, rung, share }: { run: number; rung: number; share: number },
  open: OpenRun,
  listener: SweepListener,
  signal: AbortSignal,
): Promise<void> {
  if (open.done || Math.ceil(share * open.total) <= open.steps) return;
  // Two runs at a time would need the memory of both.
  await client.resetTraining();
  let last: StepReport | null = null;
  let paused: () => void = () => undefined;
  const handlers: TrainHandlers = {
    onStep: (report) => {
      last = report;
      listener.onStep(run, report);
    },
    onState: (state) => {
      if (state === 'paused') paused();
    },
  };
  const waiting = { paused: true };
  const begun = open.checkpoint
    ? await client.resumeFrom(new Uint8Array(await open.checkpoint.arrayBuffer()), handlers, waiting)
    : await client.begin(recipeOf(plan, run), handlers, waiting);
  open.total = begun.total_steps;
  listener.onRun(run, rung, begun);
  const pausing = new Promise<void>((resolve) => (paused = resolve));
  const stop = () => void client.stop().catch(() => undefined);
  signal.addEventListener('abort', stop);
  try {
    if (signal.aborted) stop();
    else await client.trainUntil(Math.ceil(share * begun.total_steps));
    const ended = await Promise.race([client.finished(), pausing]);
    if (ended === 'stopped') return;
    open.done = ended === 'finished';
  } finally {
    signal.removeEventListener('abort', stop);
  }
  const report = last as StepReport | null;
  open.steps = report?.step ?? open.steps;
  let evaluation = report?.restored_step === null ? report.evaluation : null;
  if (!evaluation) {
    evaluation = await client.evaluate();
    listener.onEvaluation(run, open.steps, evaluation);
  }
  open.loss = evaluation.loss;
  if (!open.done) open.checkpoint = new Blob([await client.saveCheckpoint()]);
}

function recipeOf(plan: SweepPlan, run: number) {
  const found = plan.runs[run];
  if (!found) throw new Error(`the sweep has no run ${run}`);
  return found.recipe;
}

/** An error after which the trainer can do nothing more. */
function isFatal(error: unknown): boolean {
  return error instanceof TrainerError && error.isFatal;
}

function since(start: number): number {
  return (performance.now() - start) / 1000;
}
