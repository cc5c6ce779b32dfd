//! How well a reward model ranks answers.

use super::Counts;
use super::figure::{Better, Figure, Label, Rank, Unit};
use serde::{Deserialize, Serialize};

/// How well a reward model ranks answers. The names are TRL's, but for the two means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct RewardMetrics {
    /// Share of pairs whose chosen answer has the higher reward.
    pub accuracy: f64,
    /// Mean of what the chosen answers have more.
    pub margin: f64,
    /// Mean reward of the chosen answers.
    pub chosen: f64,
    /// Mean reward of the rejected answers.
    pub rejected: f64,
}

impl RewardMetrics {
    /// From the sums of the objective's shares; `None` where there are none.
    pub fn from_sums(sums: &[f64], whole: &Counts) -> Option<RewardMetrics> {
        let [chosen, rejected, wins] = sums else { return None };
        let mean = |sum: &f64| sum / whole.chosen.max(1) as f64;
        let (chosen, rejected) = (mean(chosen), mean(rejected));
        Some(RewardMetrics { accuracy: mean(wins), margin: chosen - rejected, chosen, rejected })
    }
}

impl RewardMetrics {
    pub(super) const FIGURES: &[Figure<RewardMetrics>] = &[
        Figure {
            label: Label {
                name: "pairs ranked right",
                better: Better::Higher,
                unit: Unit::Share,
                rank: Rank::First,
                step: Some("reward.accuracy"),
                evaluation: Some("reward.accuracy"),
            },
            value: |metrics| Some(metrics.accuracy),
        },
        Figure {
            label: Label {
                name: "reward margin",
                better: Better::Higher,
                unit: Unit::Number,
                rank: Rank::Summary,
                step: Some("reward.margin"),
                evaluation: Some("reward.margin"),
            },
            value: |metrics| Some(metrics.margin),
        },
    ];
}
