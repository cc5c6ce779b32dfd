//! What sampled answers earned.

use super::figure::{Better, Figure, Label, Rank, Unit};
use serde::{Deserialize, Serialize};

/// Figures of the answers to a step's prompts, or to all held-out ones. TRL's names, but for `completion_length`
/// (`completions/mean_length`), `truncated` (`completions/clipped_ratio`) and `clip_ratio` (`clip_ratio/region_mean`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// On a step, the mean of an estimate of KL(tuned ‖ base) over the answers' tokens, in nats.
    pub kl: Option<f64>,
    /// On a step, the share of the answers' tokens that are clipped.
    pub clip_ratio: Option<f64>,
}

impl RolloutMetrics {
    pub(super) const FIGURES: &[Figure<RolloutMetrics>] = &[
        Figure {
            label: Label {
                name: "reward",
                better: Better::Higher,
                unit: Unit::Number,
                rank: Rank::Loss,
                step: Some("rollout.reward"),
                evaluation: Some("rollout.reward"),
            },
            value: |metrics| Some(metrics.reward),
        },
        Figure {
            label: Label {
                name: "spread of rewards",
                better: Better::Neither,
                unit: Unit::Number,
                rank: Rank::Detail,
                step: Some("rollout.reward_std"),
                evaluation: Some("rollout.reward_std"),
            },
            value: |metrics| Some(metrics.reward_std),
        },
        Figure {
            label: Label {
                name: "tokens an answer",
                better: Better::Neither,
                unit: Unit::Number,
                rank: Rank::Detail,
                step: Some("rollout.completion_length"),
                evaluation: Some("rollout.completion_length"),
            },
            value: |metrics| Some(metrics.completion_length),
        },
        Figure {
            label: Label {
                name: "prompts with nothing to compare",
                better: Better::Lower,
                unit: Unit::Share,
                rank: Rank::Detail,
                step: Some("rollout.frac_reward_zero_std"),
                evaluation: Some("rollout.frac_reward_zero_std"),
            },
            value: |metrics| Some(metrics.frac_reward_zero_std),
        },
        Figure {
            label: Label {
                name: "KL to the base",
                better: Better::Lower,
                unit: Unit::Number,
                rank: Rank::Detail,
                step: Some("rollout.kl"),
                evaluation: Some("rollout.kl"),
            },
            value: |metrics| metrics.kl,
        },
        Figure {
            label: Label {
                name: "clipped tokens",
                better: Better::Neither,
                unit: Unit::Share,
                rank: Rank::Detail,
                step: Some("rollout.clip_ratio"),
                evaluation: Some("rollout.clip_ratio"),
            },
            value: |metrics| metrics.clip_ratio,
        },
    ];
}
