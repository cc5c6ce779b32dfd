//! A run: its model, rows and optimizer, and where in the data it is. Its steps are in [`super::steps`].

use super::early_stopping::Best;
use super::optimizer::AdamW;
use super::plan::{Plan, Sizes};
use super::rollout::{self, Group, Rollouts};
use crate::adapters::{Parameter, Trainable, frozen_blocks};
use crate::data::batch::{Batch, BatchOptions, BatchRow, collate, epoch_batches, split};
use crate::data::encode::Example;
use crate::data::only_held_out;
use crate::error::{Error, Result};
use crate::eval;
use crate::eval::forgetting::Probe;
use crate::kernels::readback::read;
use crate::memory::{self, Largest};
use crate::metrics::Evaluation;
use crate::models::{Model, Tape, Trunk};
use crate::objectives::Loss;
use crate::recipe::{Method, Objective, Recipe};
use burn::tensor::Tensor;

pub struct Trainer {
    pub base: Model,
    /// A digest of the base's weights; empty where it is not known.
    pub base_digest: String,
    pub plan: Plan,
    pub trainable: Trainable,
    pub optimizer: AdamW,
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    /// Optimizer steps done.
    pub done: usize,
    /// With `eval.early_stopping_patience`, once there was an evaluation.
    pub best: Option<Best>,
    /// With the objective `grpo`: the latest answers.
    pub groups: Option<Vec<Group>>,
    /// With the objective `grpo`.
    pub(super) rollouts: Option<Rollouts>,
    /// With `eval.probe`.
    probe: Option<Probe>,
    /// The probe's loss before training, once it is measured.
    pub(super) base_probe_loss: Option<f64>,
    pub(super) loss: Loss,
    /// With block checkpointing.
    pub(super) tape: Tape,
    /// Where blocks are frozen below all that is trained.
    trunk: Option<Trunk>,
    options: BatchOptions,
    /// The micro-batches of one epoch, with its number.
    order: (usize, Vec<Vec<BatchRow>>),
}

impl Trainer {
    /// `general` is what `data.general_fraction` mixes in, `rollouts` what the objective `grpo` samples by.
    ///
    /// # Errors
    /// No rows to train on, none to stop by, or rows longer than the model's positions.
    pub fn new(
        base: Model,
        recipe: &Recipe,
        examples: Vec<Example>,
        general: &[Example],
        probe: Option<Probe>,
        rollouts: Option<Rollouts>,
    ) -> Result<Trainer> {
        let base = base.fp16(recipe.train.fp16);
        let asks_a_person = recipe.objective == Objective::Grpo && recipe.grpo.asks_a_person();
        let held_out = if asks_a_person { 0.0 } else { recipe.eval.validation_fraction };
        let (mut train, validation) = split(examples, held_out, recipe.train.seed);
        let mixed_in = mixed_in(general, train.len(), recipe.data.general_fraction);
        let mut notes: Vec<String> = Vec::new();
        if asks_a_person && recipe.eval.validation_fraction > 0.0 {
            notes.push(
                "no row is held out, since a person would have to rate the answers to it at each validation"
                    .into(),
            );
        }
        if !mixed_in.is_empty() {
            let all = train.len() + mixed_in.len();
            notes.push(format!("{} of the {all} rows to train on are general text", mixed_in.len()));
        }
        train.extend(mixed_in);
        let limit = base.max_position_embeddings();
        if recipe.train.max_seq_length > limit && train.iter().any(|row| row.longest() > limit) {
            return Err(Error::InvalidSetting {
                key: "train.max_seq_length".into(),
                value: recipe.train.max_seq_length.to_string(),
                expected: format!("the model has positions for {limit} tokens, so it must be at most that"),
            });
        }
        if let (Some(patience), true) = (recipe.eval.early_stopping_patience, validation.is_empty()) {
            return Err(Error::InvalidSetting {
                key: "eval.early_stopping_patience".into(),
                value: patience.to_string(),
                expected: "no row of this file is held out to stop by; raise eval.validation_fraction or set it to null"
                    .into(),
            });
        }
        let options = BatchOptions {
            batch_size: recipe.train.batch_size,
            max_seq_length: recipe.train.max_seq_length,
            packing: recipe.train.packing,
            pad_token_id: 0,
        };
        let trainable = Trainable::new(&base, recipe);
        let order = epoch_batches(&train, &options, recipe.train.seed, 0);
        let labels = trainable.labels.as_deref().unwrap_or_default();
        notes.extend(only_held_out(&train, &validation, labels));
        let largest = Largest::of(&order, &train, &validation, recipe, &base);
        let frozen = frozen_blocks(&base, recipe.method);
        let plan = Plan::new(
            recipe,
            Sizes {
                micro_batches_per_epoch: order.len(),
                train_examples: train.len(),
                validation_examples: validation.len(),
                trainable_parameters: trainable.len(),
                total_parameters: base.parameters(),
                notes,
                memory: memory::estimate(&base, trainable.len(), recipe, largest),
                probe: probe.as_ref().map(|probe| probe.summary.clone()),
            },
        )?;
        let optimizer = AdamW {
            max_grad_norm: recipe.train.max_grad_norm,
            rates: trainable.learning_rate_factors(),
            ..AdamW::new(trainable.len(), recipe.train.weight_decay, &base.device())
        };
        Ok(Trainer {
            loss: Loss::new(recipe, &base),
            tape: Tape::new(largest.tokens() as usize),
            trunk: (largest.trunk > 0).then(|| Trunk::new(frozen, largest.trunk as usize)),
            order: (0, order),
            done: 0,
            best: None,
            groups: None,
            rollouts,
            probe,
            base_probe_loss: None,
            base,
            base_digest: String::new(),
            plan,
            trainable,
            optimizer,
            train,
            validation,
            options,
        })
    }

    /// The step whose values the run has: the latest, or after early stopping the best.
    pub fn step_of_values(&self) -> usize {
        match &self.best {
            Some(best) if self.finished() => best.record.step,
            _ => self.done,
        }
    }

    pub fn finished(&self) -> bool {
        let patience = self.plan.recipe.eval.early_stopping_patience;
        let stopped = |best: &Best| patience.is_some_and(|patience| best.record.without_better >= patience);
        self.done >= self.plan.total_steps || self.best.as_ref().is_some_and(stopped)
    }

    /// The model, which computes its frozen blocks of each row once in a run.
    pub(super) fn beginning_at_trunk(&self, model: Model) -> Model {
        match &self.trunk {
            Some(trunk) => model.with_trunk(trunk),
            None => model,
        }
    }

    /// Scores of the tuned model over the held-out rows; `None` when there are none.
    pub async fn evaluate(&self) -> Result<Option<Evaluation>> {
        if self.validation.is_empty() {
            return Ok(None);
        }
        let model = self.beginning_at_trunk(self.trainable.tuned(&self.base));
        match &self.rollouts {
            Some(rollouts) => rollouts.evaluate(&model, &self.validation).await.map(Some),
            None => eval::loss(&model, &self.validation, &self.options, &self.loss).await.map(Some),
        }
    }

    /// Whether what was trained in so many steps leaves the model as it was. A path whose B is zero does nothing, whatever its A.
    ///
    /// # Errors
    /// A device that stops answering.
    pub(super) async fn changes_nothing(&self, steps: usize) -> Result<bool> {
        let schedule = self.plan.schedule();
        if (0..steps).all(|done| schedule.learning_rate(done) == 0.0) {
            return Ok(true);
        }
        if self.plan.recipe.method != Method::Lora {
            return Ok(false);
        }
        let acts = |parameter: &&Parameter| !parameter.name.ends_with(".lora_A.weight");
        let before = Trainable::new(&self.base, &self.plan.recipe).values;
        let moved = self.trainable.parameters.iter().filter(acts).map(|parameter| {
            let of = |values: &Tensor<1>| values.clone().narrow(0, parameter.offset, parameter.len());
            (of(&self.trainable.values) - of(&before)).abs().max()
        });
        let most = read(Tensor::cat(moved.collect(), 0).max()).await?;
        Ok(most[0] == 0.0)
    }

    /// What to say of a finished run that changed nothing.
    pub(super) fn why_nothing_changed(&self) -> String {
        let cure = match self.plan.recipe.objective {
            Objective::Grpo => {
                "all answers to a prompt earned the same, which teaches nothing; choose another grpo.reward or a higher \
                 grpo.temperature"
            }
            _ => "train for more steps, lower train.warmup_ratio or raise train.learning_rate",
        };
        format!("the run is over, and what it trained changes nothing: the tuned model is the base; {cure}")
    }

    /// Mean token loss of the forgetting probe, of the tuned model; `None` without `eval.probe`.
    ///
    /// # Errors
    /// A device that stops answering.
    pub async fn probe_loss(&self) -> Result<Option<f64>> {
        match &self.probe {
            Some(probe) => probe.loss(&self.trainable.tuned(&self.base)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Scores the probe on the model as it was before training, unless that is done; whether it was done now.
    pub(super) async fn measure_base_probe(&mut self) -> Result<bool> {
        let Some(probe) = self.probe.as_ref().filter(|_| self.base_probe_loss.is_none()) else {
            return Ok(false);
        };
        let loss = probe.loss(&self.base).await.map_err(|error| match error {
            Error::Training { .. } => Error::Training { reason: self.why_base_has_no_number() },
            other => other,
        })?;
        self.base_probe_loss = Some(loss);
        Ok(true)
    }

    /// With early stopping, remembers the best values and, when the run is over, takes them back; the step they
    /// are of is then the answer.
    pub(super) fn keep_the_best(&mut self, evaluation: Option<&Evaluation>) -> Option<usize> {
        self.plan.recipe.eval.early_stopping_patience?;
        if let Some(evaluation) = evaluation {
            self.best = Some(Best::after(self.best.take(), self.done, evaluation, &self.trainable.values));
        }
        let best = self.best.as_ref().filter(|_| self.finished())?;
        self.trainable.values = best.values.clone();
        Some(best.record.step)
    }

    /// The micro-batches of the next step: rows of the data, or of answers that are sampled to them now, or were sampled for
    /// an earlier step.
    pub(super) async fn next_batches(&mut self) -> Result<Vec<Batch>> {
        let (rows, first) = self.next_rows();
        let Some(rollouts) = &self.rollouts else {
            return Ok(rows.iter().map(|rows| collate(&self.train, rows, &self.options)).collect());
        };
        if self.groups.is_none() || self.done.is_multiple_of(self.plan.recipe.iterations()) {
            let prompts = rows.iter().flatten().flat_map(|row| &row.examples);
            let prompts: Vec<&Example> = prompts.map(|&index| &self.train[index]).collect();
            let model = self.trainable.tuned(&self.base);
            self.groups = Some(rollouts.groups(&model, &prompts, first).await?);
        }
        let groups = self.groups.as_deref().unwrap_or_default();
        Ok(rollout::batches(groups, self.plan.recipe.train.batch_size))
    }

    /// The rows of the next step's micro-batches, and how many rows the run has seen before. The position in the data follows
    /// from the number of steps done, so a resumed run sees the same rows.
    fn next_rows(&mut self) -> (Vec<Vec<BatchRow>>, usize) {
        let Recipe { train, .. } = &self.plan.recipe;
        let iterations = self.plan.recipe.iterations();
        let (place, places) = (self.done / iterations, self.plan.steps_per_epoch / iterations);
        let (epoch, first) = (place / places, place % places * train.gradient_accumulation_steps);
        if self.order.0 != epoch {
            self.order = (epoch, epoch_batches(&self.train, &self.options, train.seed, epoch));
        }
        let order = &self.order.1;
        let last = (first + train.gradient_accumulation_steps).min(order.len());
        let rows = order[first.min(last)..last].to_vec();
        (rows, epoch * self.train.len() + first * train.batch_size)
    }
}

/// As many general examples as make up `fraction` of the training rows together with `train` others: spread over all of
/// them, or in turns where there are too few.
fn mixed_in(general: &[Example], train: usize, fraction: f64) -> Vec<Example> {
    if general.is_empty() || train == 0 {
        return Vec::new();
    }
    let wanted = (train as f64 * fraction / (1.0 - fraction)).round() as usize;
    let place =
        |i: usize| if wanted <= general.len() { i * general.len() / wanted } else { i % general.len() };
    (0..wanted).map(|i| general[place(i)].clone()).collect()
}
