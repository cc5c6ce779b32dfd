use super::schedule::Schedule;
use crate::error::{Error, Result};
use crate::eval::forgetting::ProbeSummary;
use crate::memory::MemoryEstimate;
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};

/// A recipe resolved against one model and one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Plan {
    pub recipe: Recipe,
    pub total_steps: usize,
    pub steps_per_epoch: usize,
    pub warmup_steps: usize,
    pub trainable_parameters: usize,
    #[cfg_attr(test, ts(type = "number"))]
    pub total_parameters: u64,
    pub train_examples: usize,
    pub validation_examples: usize,
    /// What the split into training and held-out rows means, in sentences for the user.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Estimated before the run.
    #[serde(default)]
    pub memory: MemoryEstimate,
    /// What forgetting is measured by; null where it is not.
    #[serde(default)]
    pub probe: Option<ProbeSummary>,
    /// What the chat template takes for now, where it prints a date: the texts of the whole run have it, also when it is resumed on
    /// another day.
    #[serde(default)]
    pub date: Option<String>,
}

/// What the data and the model contribute to a plan.
pub struct Sizes {
    pub micro_batches_per_epoch: usize,
    pub train_examples: usize,
    pub validation_examples: usize,
    pub trainable_parameters: usize,
    pub total_parameters: u64,
    pub notes: Vec<String>,
    pub memory: MemoryEstimate,
    pub probe: Option<ProbeSummary>,
}

impl Plan {
    /// # Errors
    /// No rows left to train on.
    pub fn new(recipe: &Recipe, sizes: Sizes) -> Result<Plan> {
        if sizes.train_examples == 0 {
            return Err(Error::Training {
                reason: "no rows are left to train on; add rows, or lower eval.validation_fraction".into(),
            });
        }
        let accumulation = recipe.train.gradient_accumulation_steps;
        let steps_per_epoch = sizes.micro_batches_per_epoch.div_ceil(accumulation) * recipe.iterations();
        let by_epochs = (recipe.train.epochs * steps_per_epoch as f64).ceil() as usize;
        let total_steps = recipe.train.max_steps.unwrap_or(by_epochs).max(1);
        let mut notes = sizes.notes;
        let mut warmup_steps = (recipe.train.warmup_ratio * total_steps as f64).ceil() as usize;
        // A warm-up begins with a rate of 0.
        if total_steps == 1 && warmup_steps > 0 {
            warmup_steps = 0;
            notes.push(
                "the run has one step only, so it has no warm-up: a rate that begins at 0 would train nothing".into(),
            );
        }
        Ok(Plan {
            recipe: recipe.clone(),
            total_steps,
            steps_per_epoch,
            warmup_steps,
            trainable_parameters: sizes.trainable_parameters,
            total_parameters: sizes.total_parameters,
            train_examples: sizes.train_examples,
            validation_examples: sizes.validation_examples,
            notes,
            memory: sizes.memory,
            probe: sizes.probe,
            date: None,
        })
    }

    pub fn schedule(&self) -> Schedule {
        Schedule {
            kind: self.recipe.train.lr_scheduler_type,
            peak: self.recipe.train.learning_rate,
            warmup_steps: self.warmup_steps,
            total_steps: self.total_steps,
        }
    }
}
