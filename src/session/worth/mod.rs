//! [`Session`] asked whether training was worth it: held-out rows, answered by the base, by the base with examples in its prompt,
//! and by the tuned model.
//!
//! A row is asked in every way before the next one is, so that a measurement that is stopped has the same rows in each.

mod asking;
mod rows;
mod scoring;

use super::Session;
use crate::data::Example;
use crate::error::{Error, Result};
use crate::eval::worth::Worth;
use crate::recipe::{Objective, Recipe};
use asking::Asking;
use rows::{evenly, questions};
use serde::{Deserialize, Serialize};

/// What is to be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct WorthRequest {
    /// Held-out rows to ask, spread evenly over the file; at least 1.
    pub rows: usize,
    /// Rows of the training split to put into a prompt; 0 for none. Fewer where they do not fit.
    pub examples: usize,
}

impl Default for WorthRequest {
    fn default() -> Self {
        WorthRequest { rows: 12, examples: 4 }
    }
}

/// Fewer rows are a hint at most.
const FEW: usize = 8;

impl Session {
    /// Asks held-out rows in every way there is. They are those of the run, whose recipe counts then; before a run, those that one
    /// with `recipe` would hold out. Examples are rows that such a run trains on. `go_on` is told how many answers of how many
    /// there are, and is asked between two tokens whether to go on; after a no there are figures of the rows that were asked in
    /// every way.
    ///
    /// # Errors
    /// No model or data yet; no row held out; open data that is not what the run learned from; a `go_on` that says no before the
    /// first row is done; a device that stops answering.
    pub async fn worth(
        &mut self,
        request: &WorthRequest,
        recipe: &Recipe,
        go_on: impl AsyncFnMut(usize, usize) -> Result<bool>,
    ) -> Result<Worth> {
        let recipe = self.trainer.as_ref().map_or(recipe, |trainer| &trainer.plan.recipe).clone();
        self.curate(&recipe)?;
        self.dataset()?.check_objective(recipe.objective)?;
        let split = self.split_rows(&recipe)?;
        if split.held_out.is_empty() {
            let asks_a_person = recipe.objective == Objective::Grpo && recipe.grpo.asks_a_person();
            let why = match recipe.eval.validation_fraction {
                _ if asks_a_person => {
                    "a run that a person rates holds no row out; compare the answers yourself"
                }
                fraction if fraction > 0.0 => {
                    "no row of this file can be held out whole, to be asked without having been learned; add rows and train again"
                }
                _ => {
                    "no row is held out, to be asked without having been learned; set it to 0.1, for one row in ten, and train again"
                }
            };
            return Err(Error::InvalidSetting {
                key: "eval.validation_fraction".into(),
                value: recipe.eval.validation_fraction.to_string(),
                expected: why.into(),
            });
        }
        let model = self.model()?;
        let writes =
            recipe.objective.writes_text() && !model.base.is_encoder() && model.base.score().is_none();
        let mut notes = Vec::new();
        let all = if writes { self.questions_of(&split.held_out)? } else { Vec::new() };
        let mut worth = if !writes {
            self.worth_by_score(&recipe, go_on).await?
        } else if all.is_empty() {
            let examples = self.examples(&recipe)?;
            let texts: Vec<Example> =
                examples.iter().filter(|text| split.held_out.contains(&text.row)).cloned().collect();
            let places: Vec<usize> = (0..texts.len()).collect();
            let texts: Vec<Example> =
                evenly(&places, request.rows.max(1)).into_iter().map(|place| texts[place].clone()).collect();
            self.worth_of_texts(&recipe, &texts, go_on).await?
        } else {
            let left_out = split.held_out.len() - all.len();
            if left_out > 0 {
                notes.push(format!(
                    "{left_out} held-out {} not asked: without a prompt and an answer, or too long",
                    if left_out == 1 { "row is" } else { "rows are" }
                ));
            }
            let asked = evenly(&all, request.rows.max(1));
            let pool = self.questions_of(&split.training)?;
            let chosen = questions(self, &asked, &pool, request.examples)?;
            if chosen.examples < request.examples {
                notes.push(match chosen.examples {
                    0 if request.examples > 0 => {
                        "no row that is trained fits into a prompt beside these rows as an example".into()
                    }
                    fit => format!(
                        "the prompt has {fit} of {} examples: no more trained rows are there, or fit",
                        request.examples
                    ),
                });
            }
            Asking::new(self, &recipe, chosen)?.ask(go_on).await?
        };
        worth.held_out = split.held_out.len();
        if self.trainer.is_none() && self.loaded.is_some() {
            notes.push(
                "the adapter was loaded: its run has not seen these rows only if it had this recipe and this file"
                    .into(),
            );
        }
        if worth.held_out < FEW {
            notes.push(format!(
                "{} a hint and no more: raise eval.validation_fraction, or add rows, and train again",
                if worth.held_out == 1 {
                    "1 held-out row is".into()
                } else {
                    format!("{} held-out rows are", worth.held_out)
                }
            ));
        } else if worth.rows < FEW {
            notes.push(format!(
                "{} a hint and no more: ask more of those that are held out",
                if worth.rows == 1 { "1 row is".into() } else { format!("{} rows are", worth.rows) }
            ));
        }
        worth.notes.splice(0..0, notes);
        Ok(worth)
    }

    /// Whether something was trained or loaded that could be better than the base.
    fn has_tuned(&self) -> bool {
        self.trainer.as_ref().map_or(self.loaded.is_some(), |trainer| trainer.done > 0)
    }
}

#[cfg(test)]
mod tests;
