//! How far preferred answers are told from the others.

use super::Counts;
use super::figure::{Better, Figure, Label, Rank, Unit};
use serde::{Deserialize, Serialize};

/// How far the model tells chosen (or liked) answers from rejected (or disliked) ones.
///
/// Rewards are β times what the model's log-probability of an answer has beyond the reference's; for
/// ORPO, which has no reference, β times the log-probability. Their names are TRL's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PreferenceMetrics {
    /// Mean reward of the chosen answers.
    pub rewards_chosen: f64,
    /// Mean reward of the rejected answers.
    pub rewards_rejected: f64,
    /// What the chosen answers have more; 0 before training.
    pub rewards_margin: f64,
    /// Share of pairs whose chosen answer has the higher reward. Not for rated answers.
    pub rewards_accuracy: Option<f64>,
    /// Mean log-probability of the chosen answers: summed over an answer's tokens, for ORPO averaged.
    pub logps_chosen: f64,
    pub logps_rejected: f64,
    /// What the chosen answers have more; the base model has one too.
    pub logps_margin: f64,
    /// Share of pairs whose chosen answer is the likelier one. Not for rated answers.
    pub logps_accuracy: Option<f64>,
}

impl PreferenceMetrics {
    /// From the sums of the objective's shares over all batches; `None` where there are none.
    pub fn from_sums(sums: &[f64], whole: &Counts) -> Option<PreferenceMetrics> {
        let [rewards_chosen, rewards_rejected, logps_chosen, logps_rejected, wins @ ..] = sums else {
            return None;
        };
        let of_chosen = |sum: &f64| sum / whole.chosen.max(1) as f64;
        let of_rejected = |sum: &f64| sum / whole.rejected.max(1) as f64;
        let (rewards_chosen, rewards_rejected) = (of_chosen(rewards_chosen), of_rejected(rewards_rejected));
        let (logps_chosen, logps_rejected) = (of_chosen(logps_chosen), of_rejected(logps_rejected));
        Some(PreferenceMetrics {
            rewards_chosen,
            rewards_rejected,
            rewards_margin: rewards_chosen - rewards_rejected,
            rewards_accuracy: wins.first().map(of_chosen),
            logps_chosen,
            logps_rejected,
            logps_margin: logps_chosen - logps_rejected,
            logps_accuracy: wins.get(1).map(of_chosen),
        })
    }
}

impl PreferenceMetrics {
    pub(super) const FIGURES: &[Figure<PreferenceMetrics>] = &[Figure {
        label: Label {
            name: "reward margin",
            better: Better::Higher,
            unit: Unit::Number,
            rank: Rank::First,
            step: Some("preference.rewards_margin"),
            evaluation: Some("preference.rewards_margin"),
        },
        value: |metrics| Some(metrics.rewards_margin),
    }];
}
