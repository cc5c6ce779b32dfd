//! What an answer earns: what the objective `grpo` makes likelier. A reward is any number, and only what an answer earns more
//! or less than the others to its prompt counts.

pub mod exact_match;
pub mod judge;
pub mod length;
pub mod person;
pub mod regex;
pub mod reward_model;

use crate::data::{Task, Tokenizer};
use crate::error::{Error, Result};
use crate::models::Decoder;
use crate::recipe::{GrpoRecipe, RewardKind};
use person::Person;

/// A reward with what it needs.
#[derive(Debug, Clone)]
pub enum Reward {
    ExactMatch,
    Regex(::regex::Regex),
    /// Words of a good answer.
    Length(usize),
    /// A model with a `score` head of one row.
    RewardModel(Box<Decoder>),
    Person(Person),
}

impl Reward {
    /// # Errors
    /// A regular expression that is missing or cannot be read; no reward model, or no person, where one is to be asked.
    pub fn new(recipe: &GrpoRecipe, reward_model: Option<Decoder>, person: Option<Person>) -> Result<Reward> {
        Ok(match recipe.reward {
            RewardKind::ExactMatch => Reward::ExactMatch,
            RewardKind::Regex => Reward::Regex(recipe.regex()?),
            RewardKind::Length => Reward::Length(recipe.target_length),
            RewardKind::RewardModel => {
                Reward::RewardModel(Box::new(reward_model.ok_or_else(no_reward_model)?))
            }
            RewardKind::Person => Reward::Person(person.ok_or_else(no_person)?),
        })
    }

    /// What each of some answers to one prompt earns.
    ///
    /// # Errors
    /// With a reward model: an answer that is too long for it, or a device that stops answering. With a person: nobody rates.
    pub async fn of(&self, task: &Task, answers: &[String], tokenizer: &Tokenizer) -> Result<Vec<f64>> {
        let each = |reward: &dyn Fn(&str) -> f64| answers.iter().map(|answer| reward(answer)).collect();
        Ok(match self {
            Reward::ExactMatch => each(&|answer| exact_match::reward(answer, task.answer.as_deref())),
            Reward::Regex(pattern) => each(&|answer| regex::reward(answer, pattern)),
            Reward::Length(target) => each(&|answer| length::reward(answer, *target)),
            Reward::RewardModel(model) => reward_model::rewards(model, task, answers, tokenizer).await?,
            Reward::Person(person) => person.rewards(&task.prompt, answers).await?,
        })
    }
}

fn no_person() -> Error {
    Error::InvalidSetting {
        key: "grpo.reward".into(),
        value: "\"person\"".into(),
        expected: "there is nobody here to rate answers; train on the page, or choose another reward".into(),
    }
}

fn no_reward_model() -> Error {
    Error::InvalidSetting {
        key: "grpo.reward".into(),
        value: "\"reward_model\"".into(),
        expected: "no reward model is open; train one with the objective reward and open its adapter (--reward-model), or choose \
                   another reward"
            .into(),
    }
}
