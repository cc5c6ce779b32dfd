use crate::error::{Error, Result};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// How answers are sampled, rewarded and learned from; for the objective `grpo`. Names are TRL's, and so are the defaults but
/// for the length of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct GrpoRecipe {
    /// Answers sampled to each prompt, which are compared with each other. Default 8.
    pub num_generations: usize,
    /// An answer ends after this many tokens. Default 64.
    pub max_completion_length: usize,
    /// Divides the logits, in sampling and in the loss. Default 1.
    pub temperature: f64,
    /// Weight of KL(tuned ‖ base), which holds the model near its base. Default 0.
    pub beta: f64,
    /// How far a token's probability may move, as a share, before an update stops following it. Default 0.2.
    pub epsilon: f64,
    /// Optimizer steps on the same answers before new ones are sampled. Default 1.
    pub num_iterations: usize,
    /// What the loss is a mean over. Default dapo.
    pub loss_type: GrpoLossType,
    /// What answers are rewarded for. Default exact_match.
    pub reward: RewardKind,
    /// What a good answer matches, with the reward `regex`: a regular expression. Default null.
    pub pattern: Option<String>,
    /// Words of a good answer, with the reward `length`. Default 20.
    pub target_length: usize,
}

/// How the tokens of a step weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum GrpoLossType {
    /// Every token of the step alike (<https://arxiv.org/abs/2503.14476>).
    Dapo,
    /// Every answer alike, whatever its length (<https://arxiv.org/abs/2402.03300>).
    Grpo,
}

/// What is good about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum RewardKind {
    /// It is the row's `answer`.
    ExactMatch,
    /// It matches `grpo.pattern`.
    Regex,
    /// It has about `grpo.target_length` words.
    Length,
    /// An adapter that was trained with the objective `reward` thinks well of it.
    RewardModel,
    /// A person says so, on the page, while the run waits.
    Person,
}

impl GrpoRecipe {
    /// Whether a run waits for ratings; then no row is held out, for whose answers there would be more to rate.
    pub fn asks_a_person(&self) -> bool {
        self.reward == RewardKind::Person
    }

    /// `pattern`, compiled.
    ///
    /// # Errors
    /// No pattern, or one that is no regular expression.
    pub fn regex(&self) -> Result<Regex> {
        /// A pattern of megabytes would stop the page.
        const LARGEST: usize = 1 << 20;
        let invalid = |value: String, expected: String| Error::InvalidSetting {
            key: "grpo.pattern".into(),
            value,
            expected,
        };
        let Some(text) = self.pattern.as_deref().filter(|text| !text.is_empty()) else {
            return Err(invalid(
                "null".into(),
                "the reward regex needs a regular expression to look for".into(),
            ));
        };
        RegexBuilder::new(text).size_limit(LARGEST).build().map_err(|error| {
            // The last line of the message says what is wrong; those before it draw where.
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
            invalid(format!("\"{text}\""), format!("it must be a regular expression ({reason})"))
        })
    }
}

impl super::Recipe {
    /// Optimizer steps on the same micro-batches: more than one only with the objective `grpo`.
    pub fn iterations(&self) -> usize {
        if self.objective == super::Objective::Grpo { self.grpo.num_iterations } else { 1 }
    }
}

impl Default for GrpoRecipe {
    fn default() -> Self {
        GrpoRecipe {
            num_generations: 8,
            max_completion_length: 64,
            temperature: 1.0,
            beta: 0.0,
            epsilon: 0.2,
            num_iterations: 1,
            loss_type: GrpoLossType::Dapo,
            reward: RewardKind::ExactMatch,
            pattern: None,
            target_length: 20,
        }
    }
}
