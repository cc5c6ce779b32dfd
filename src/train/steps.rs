//! The steps of a [`Trainer`]: the one training loop. A step is a few micro-batches, one update and, now and then, an evaluation; whoever calls
//! [`Trainer::steps`] owns pausing, stopping and saving.
//!
//! A GPU works while the next step is prepared, as long as nobody asks it for a number. So several steps are launched one
//! after the other, and what they report is read at once.

use super::optimizer::guarded;
use super::rollout;
use super::trainer::Trainer;
use crate::data::batch::Batch;
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::metrics::{Counts, Metrics, RolloutMetrics, StepReport, TokenMetrics};
use crate::objectives::Share;
use burn::tensor::Tensor;
use web_time::Instant;

/// The most steps that are launched before their figures are read.
pub const MOST_STEPS: usize = 16;

/// A step whose figures are still on the device.
struct Launched {
    /// As [`guarded`] makes them.
    figures: Tensor<1>,
    /// How many of them are the step's.
    count: usize,
    whole: Counts,
    tokens: usize,
    computed_tokens: usize,
    learning_rate: f64,
}

impl Trainer {
    /// One optimizer step; see [`Trainer::steps`].
    ///
    /// # Errors
    /// A loss or gradient that is not finite; a device that stops answering.
    pub async fn step(&mut self) -> Result<StepReport> {
        Ok(self.steps(1).await?.remove(0))
    }

    /// The next optimizer steps, at least one: up to `most` and [`MOST_STEPS`], and none after one that evaluates, ends the run
    /// or learns from sampled answers.
    ///
    /// A step that fails, and what was launched after it, leaves parameters and optimizer as they were. The steps before it
    /// are reported; the next call begins with it and fails.
    ///
    /// # Errors
    /// A loss or gradient of the first step that is not finite. A device that stops answering: then how many of the steps it
    /// did is not known.
    pub async fn steps(&mut self, most: usize) -> Result<Vec<StepReport>> {
        let first_measure = self.measure_base_probe().await?;
        let started = Instant::now();
        let done_before = self.done;
        let mut queue = vec![self.launch(None).await?];
        while queue.len() < most.min(MOST_STEPS) && !self.is_due() && self.rollouts.is_none() {
            match self.launch(queue.last().map(|step| &step.figures)).await {
                Ok(step) => queue.push(step),
                // The next call comes upon it again.
                Err(_) => break,
            }
        }
        let read = read(Tensor::cat(queue.iter().map(|step| step.figures.clone()).collect(), 0)).await?;
        let seconds = started.elapsed().as_secs_f64() / queue.len() as f64;

        let mut read = read.into_iter().map(f64::from);
        let mut reports = Vec::new();
        for step in &queue {
            let figures: Vec<f64> = read.by_ref().take(step.figures.dims()[0]).collect();
            let [gate, squares, figures @ ..] = &figures[..step.count] else {
                unreachable!("figures have a guard")
            };
            if !gate.is_finite() {
                break;
            }
            reports.push(self.report(
                done_before + reports.len() + 1,
                step,
                squares.sqrt(),
                figures,
                seconds,
            ));
        }
        let undone = queue.len() - reports.len();
        self.done -= undone;
        self.optimizer.updates -= undone;
        let Some(last) = reports.last_mut() else {
            return Err(Error::Training { reason: self.why_no_number() });
        };
        let due = self.is_due();
        if due {
            // The step is done: who stops answers to held-out prompts goes without the evaluation.
            last.evaluation = match self.evaluate().await {
                Err(Error::Stopped) => None,
                evaluation => evaluation?,
            };
            last.probe_loss = self.probe_loss().await?;
            if let Some(evaluation) = &mut last.evaluation {
                evaluation.probe_loss = last.probe_loss;
            }
            last.base_probe_loss = self.base_probe_loss;
        }
        last.restored_step = self.keep_the_best(last.evaluation.as_ref());
        last.finished = self.finished();
        if last.finished && self.changes_nothing(last.restored_step.unwrap_or(self.done)).await? {
            last.note = Some(self.why_nothing_changed());
        }
        if first_measure {
            reports[0].base_probe_loss = self.base_probe_loss;
        }
        Ok(reports)
    }

    /// Why the next step's loss or gradient is not a number, and what to do.
    fn why_no_number(&self) -> String {
        if self.done == 0 {
            return self.why_base_has_no_number();
        }
        format!(
            "the loss stopped being a number at step {}; {}lower train.learning_rate (now {}) and start again from the last \
             checkpoint",
            self.done + 1,
            self.or_without_fp16(),
            self.plan.recipe.train.learning_rate
        )
    }

    pub(super) fn why_base_has_no_number(&self) -> String {
        format!(
            "the loss or its gradient is not a number before anything is trained, so it is the base that computes none; {}take \
             another copy of the model",
            self.or_without_fp16()
        )
    }

    fn or_without_fp16(&self) -> &'static str {
        if self.plan.recipe.train.fp16 { "switch train.fp16 off, or " } else { "" }
    }

    /// Whether the step that was done last evaluates.
    fn is_due(&self) -> bool {
        self.done.is_multiple_of(self.plan.recipe.eval.eval_steps) || self.finished()
    }

    /// Launches the next step with its update. `before` are the figures of the step before, where those are not read yet.
    async fn launch(&mut self, before: Option<&Tensor<1>>) -> Result<Launched> {
        let train = self.plan.recipe.train.clone();
        let batches = self.next_batches().await?;
        let whole: Counts = batches.iter().map(|batch| self.loss.counts(batch)).sum();
        let tokens: usize = batches.iter().map(|batch| batch.tokens).sum();
        let computed_tokens = batches.iter().map(|batch| self.base.computed_tokens(&batch.input())).sum();
        let leaves = self.trainable.leaves(true);
        let (mut figures_sum, mut gradient_sum) = (None, None);
        let checkpoints = self.plan.memory.gradient_checkpointing;
        let teaches = |batch: &Batch| !self.loss.counts(batch).is_empty();
        for (i, batch) in batches.iter().enumerate().filter(|(_, batch)| teaches(batch)) {
            // The seed follows from the place in the run, so a resumed run draws the same masks.
            let place = (self.done * train.gradient_accumulation_steps + i) as u64;
            let dropout_seed =
                train.seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(place << 16);
            let model = self.trainable.attach(&self.base, &leaves, Some(dropout_seed));
            let model = self.beginning_at_trunk(model);
            let model = if checkpoints { model.checkpointed(&self.tape) } else { model };
            let Share { loss, figures } = self.loss.share(&model, batch, &whole)?;
            let mut gradients = loss.clone().backward();
            let trainable = &self.trainable;
            gradient_sum = Some(match gradient_sum.take() {
                before if checkpoints => {
                    let zeros = || Tensor::zeros([trainable.len()], &trainable.values.device());
                    self.tape.backward(gradients, before.unwrap_or_else(zeros), |sum, mut gradients| {
                        trainable.add_gradients(&leaves, &mut gradients, sum)
                    })
                }
                None => trainable.flat_gradient(&leaves, &mut gradients),
                Some(before) => before + trainable.flat_gradient(&leaves, &mut gradients),
            });
            let figures = Tensor::cat([loss.inner()].into_iter().chain(figures).collect(), 0);
            figures_sum = Some(match figures_sum.take() {
                None => figures,
                Some(before) => before + figures,
            });
        }
        let Some((figures, gradient)) = figures_sum.zip(gradient_sum) else {
            return Err(Error::Training {
                reason: format!("step {} has no token to learn from", self.done + 1),
            });
        };
        // Parts of the values, which the update is to change in place.
        drop(leaves);
        let count = 2 + figures.dims()[0];
        let figures = guarded(figures, gradient.clone(), before);
        let learning_rate = self.plan.schedule().learning_rate(self.done);
        let values = self.trainable.take_values();
        self.trainable.values = self.optimizer.update(values, gradient, figures.clone(), learning_rate);
        self.done += 1;
        Ok(Launched { figures, count, whole, tokens, computed_tokens, learning_rate })
    }

    /// What a step did, but for what is measured after it. `figures` are the loss and what else the objective measures.
    fn report(
        &self,
        step: usize,
        launched: &Launched,
        grad_norm: f64,
        figures: &[f64],
        seconds: f64,
    ) -> StepReport {
        let metrics = match (self.loss.metrics(&figures[1..], &launched.whole), &self.groups) {
            (Metrics::Rollout(RolloutMetrics { kl, clip_ratio, .. }), Some(groups)) => {
                Metrics::Rollout(RolloutMetrics { kl, clip_ratio, ..rollout::metrics(groups) })
            }
            (metrics, _) => metrics,
        };
        let kl_to_base = match &metrics {
            Metrics::Tokens(TokenMetrics { kl_to_base, .. }) => kl_to_base.unwrap_or(0.0),
            _ => 0.0,
        };
        StepReport {
            step,
            total_steps: self.plan.total_steps,
            epoch: step as f64 / self.plan.steps_per_epoch as f64,
            // Training and held-out loss are to be compared, so the penalty is reported beside the loss.
            loss: figures[0] - self.plan.recipe.train.kl_to_base * kl_to_base,
            metrics,
            learning_rate: launched.learning_rate,
            grad_norm,
            tokens: launched.tokens,
            computed_tokens: launched.computed_tokens,
            tokens_per_second: launched.tokens as f64 / seconds.max(1e-9),
            seconds,
            evaluation: None,
            probe_loss: None,
            base_probe_loss: None,
            restored_step: None,
            finished: false,
            note: None,
        }
    }
}
