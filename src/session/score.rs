//! [`Session`] without training: the open data file is scored, all of its rows or those that a run holds out.

use super::Session;
use crate::data::{BatchOptions, Example, held_out as is_held_out};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::objectives::Loss;
use crate::recipe::{Objective, Recipe};

impl Session {
    /// Loss over every row of the open data file, and what else the objective measures, with or without the adapter.
    ///
    /// # Errors
    /// No model or data yet; data that is not the objective's; no adapter where one is asked for.
    pub async fn score(&self, recipe: &Recipe, adapter: bool) -> Result<Evaluation> {
        self.score_rows(recipe, adapter, false).await
    }

    /// The same over the rows alone that a run with this recipe holds out: `eval.validation_fraction` of them, chosen by
    /// `train.seed`. A model that was trained by this recipe on this file has not seen them.
    ///
    /// # Errors
    /// Those of [`Session::score`]; a recipe that holds no row out.
    pub async fn score_held_out(&self, recipe: &Recipe, adapter: bool) -> Result<Evaluation> {
        self.score_rows(recipe, adapter, true).await
    }

    async fn score_rows(&self, recipe: &Recipe, adapter: bool, held_out: bool) -> Result<Evaluation> {
        let model = self.model()?;
        self.dataset()?.check_objective(recipe.objective)?;
        if recipe.objective == Objective::Grpo && recipe.grpo.asks_a_person() {
            return Err(Error::InvalidSetting {
                key: "grpo.reward".into(),
                value: "\"person\"".into(),
                expected: "a person is asked while training only; choose another reward to score answers by"
                    .into(),
            });
        }
        let scored = match adapter {
            true => self.tuned_for(recipe)?,
            // Beside a tuned model's head the untrained one has the same classes.
            false => self.base_for(recipe, self.trainable().ok().and_then(|tuned| tuned.labels.clone()))?,
        };
        let mut rows = self.examples(recipe)?;
        if recipe.objective == Objective::Classify {
            self.number_classes(recipe, rows.to_mut(), &scored)?;
        }
        if held_out {
            let is_held_out = is_held_out(&rows, recipe.eval.validation_fraction, recipe.train.seed);
            let kept = rows.iter().zip(is_held_out).filter(|(_, is_held_out)| *is_held_out);
            rows = kept.map(|(row, _)| row.clone()).collect::<Vec<Example>>().into();
        }
        if held_out && rows.is_empty() {
            return Err(Error::InvalidSetting {
                key: "eval.validation_fraction".into(),
                value: recipe.eval.validation_fraction.to_string(),
                expected: "a run with this recipe holds no row of this file out; raise it, or score all rows"
                    .into(),
            });
        }
        let options = BatchOptions {
            batch_size: recipe.train.batch_size,
            max_seq_length: recipe.train.max_seq_length,
            packing: false,
            pad_token_id: model.tokenizer.pad_token_id(),
        };
        // The reference is the base, also beside a head of the tuned model.
        let reference = if recipe.objective.has_score_head() { scored.clone() } else { model.base.clone() };
        let loss = Loss::new(recipe, &reference);
        let mut evaluation = match self.rollouts_for(recipe, &rows)? {
            Some(rollouts) => rollouts.evaluate(&scored, &rows).await?,
            None => crate::eval::loss(&scored, &rows, &options, &loss).await?,
        };
        if let Some(probe) = self.probe_for(recipe)? {
            evaluation.probe_loss = Some(probe.loss(&scored).await?);
        }
        Ok(evaluation)
    }
}
