//! The `score` heads of a [`Session`]: which head a run has, and asking one.

use super::Session;
use crate::adapters::Trainable;
use crate::data::{Example, Message};
use crate::data::{classes, number_classes};
use crate::error::{Error, Result};
use crate::generate::{Answer, StopReason};
use crate::models::{Model, Score};
use crate::recipe::{Objective, Recipe, TrainRecipe};
use crate::rewards::judge;
use web_time::Instant;

impl Session {
    /// The base as a run begins with it: for an objective that judges, with the model's own head or an
    /// untrained one for the given classes, else for those of the open data.
    ///
    /// # Errors
    /// No model or data yet; a head that does not suit the objective; fewer than two classes.
    pub(super) fn base_for(&self, recipe: &Recipe, labels: Option<Vec<String>>) -> Result<Model> {
        let base = &self.model()?.base;
        check_head(base, recipe.objective, "the model")?;
        if !recipe.objective.has_score_head() || base.score().is_some() {
            return Ok(base.clone());
        }
        let labels = match (recipe.objective, labels) {
            (Objective::Reward, _) => vec!["reward".into()],
            (_, Some(labels)) => labels,
            (_, None) => classes(self.dataset()?)?,
        };
        Ok(base.with_score(Score::untrained(base, labels, recipe.train.seed)))
    }

    /// The tuned model, if it suits the objective.
    pub(super) fn tuned_for(&self, recipe: &Recipe) -> Result<Model> {
        let tuned = self.tuned()?;
        check_head(&tuned, recipe.objective, "the adapter")?;
        if recipe.objective.has_score_head() && tuned.score().is_none() {
            return Err(wrong_objective(recipe.objective, "the adapter has no score head"));
        }
        Ok(tuned)
    }

    /// The base with the trained or loaded parameters attached.
    pub(super) fn tuned(&self) -> Result<Model> {
        Ok(self.trainable()?.tuned(&self.model()?.base))
    }

    pub(super) fn number_classes(
        &self,
        recipe: &Recipe,
        examples: &mut [Example],
        model: &Model,
    ) -> Result<()> {
        match (model.labels(), recipe.objective) {
            (Some(labels), Objective::Classify) => number_classes(self.dataset()?, examples, labels),
            _ => Ok(()),
        }
    }

    /// Which model answers. Beside a tuned model that judges, the base judges too, with the untrained
    /// head that it began with.
    pub(super) fn answering(&self, adapter: bool) -> Result<Model> {
        if adapter {
            return self.tuned();
        }
        let base = &self.model()?.base;
        let labels = self.trainable().ok().and_then(|Trainable { labels, .. }| labels.clone());
        Ok(match (&self.trainer, labels) {
            (Some(trainer), Some(_)) => trainer.base.clone(),
            (None, Some(labels)) if base.score().is_none() => {
                base.with_score(Score::untrained(base, labels, TrainRecipe::default().seed))
            }
            _ => base.clone(),
        })
    }

    /// The likeliest class of the last user message, or the reward of the last assistant message.
    pub(super) async fn judge(&self, model: &Model, messages: &[Message]) -> Result<Answer> {
        let started = Instant::now();
        let tokenizer = &self.model()?.tokenizer;
        let mut answer = Answer {
            text: String::new(),
            prompt_tokens: 0,
            tokens: 0,
            seconds: 0.0,
            stopped: StopReason::Judged,
            labels: Vec::new(),
            reward: None,
        };
        if let (Model::Decoder(model), Some(1)) = (model, model.labels().map(Vec::len)) {
            let Some((reply, prompt)) = messages.split_last().filter(|(last, _)| last.is_assistant()) else {
                return Err(Error::Prompt {
                    reason: "a reward model judges an answer, and there is none; give one beside the prompt (--answer)"
                        .into(),
                });
            };
            let rewards =
                judge::rewards(model, tokenizer, prompt, std::slice::from_ref(&reply.content)).await?;
            answer.reward = Some(rewards[0] as f64);
            answer.text = format!("{:.4}", rewards[0]);
        } else {
            let text = messages.last().map_or("", |message| message.content.as_str());
            answer.labels = judge::probabilities(model, tokenizer, text).await?;
            let likeliest = answer.labels.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
            answer.text = likeliest.map_or(String::new(), |found| found.label.clone());
        }
        answer.seconds = started.elapsed().as_secs_f64();
        Ok(answer)
    }
}

/// A head that the objective cannot use, whether of the open model or of an adapter.
fn check_head(model: &Model, objective: Objective, what: &str) -> Result<()> {
    if model.is_encoder() && !matches!(objective, Objective::Contrastive | Objective::Classify) {
        return Err(Error::InvalidSetting {
            key: "objective".into(),
            value: format!("\"{}\"", objective.name()),
            expected:
                "the model is an encoder, which writes no text; for it the objective must be classify or contrastive"
                    .into(),
        });
    }
    let Some(labels) = model.labels() else { return Ok(()) };
    let is_reward_model = labels.len() == 1;
    match objective {
        Objective::Reward if is_reward_model => Ok(()),
        Objective::Classify if !is_reward_model => Ok(()),
        _ if is_reward_model => Err(wrong_objective(objective, &format!("{what} is a reward model"))),
        _ => Err(wrong_objective(objective, &format!("{what} tells {} classes apart", labels.len()))),
    }
}

fn wrong_objective(objective: Objective, reason: &str) -> Error {
    Error::InvalidSetting {
        key: "objective".into(),
        value: format!("\"{}\"", objective.name()),
        expected: format!("{reason}; choose the objective that it was trained with, or another model"),
    }
}
