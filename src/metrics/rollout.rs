//! What sampled answers earned.

use serde::{Deserialize, Serialize};

/// Figures of the answers to a step's prompts, or to all held-out ones. TRL's names, but for `completion_length`
/// (`completions/mean_length`), `truncated` (`completions/clipped_ratio`) and `clip_ratio` (`clip_ratio/region_mean`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct RolloutMetrics {
    /// Mean reward.
    pub reward: f64,
    /// Standard deviation of all answers' rewards.
    pub reward_std: f64,
    /// Share of the prompts whose answers all earned the same, which teaches nothing.
    pub frac_reward_zero_std: f64,
    /// Mean tokens of an answer.
    pub completion_length: f64,
    /// Share of the answers that were cut because they were too long.
    pub truncated: f64,
    /// Of a step: mean of an estimate of KL(tuned ‖ base) over the answers' tokens, in nats.
    pub kl: Option<f64>,
    /// Of a step: share of the answers' tokens that are clipped.
    pub clip_ratio: Option<f64>,
}
