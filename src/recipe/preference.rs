use serde::{Deserialize, Serialize};

/// How strongly the model is moved towards the answers that people like; for the objectives `dpo`,
/// `orpo` and `kto`. Names and defaults are TRL's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PreferenceRecipe {
    /// DPO, KTO: how dear it is to move away from the reference. ORPO: weight of the odds ratio.
    /// Default 0.1.
    pub beta: f64,
    /// DPO only. Default sigmoid.
    pub loss_type: DpoLossType,
    /// KTO only: weight of the liked answers. Default 1.
    pub desirable_weight: f64,
    /// KTO only: weight of the disliked answers. Default 1.
    pub undesirable_weight: f64,
}

/// Which loss of the DPO family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum DpoLossType {
    /// −log σ of the margin (<https://arxiv.org/abs/2305.18290>).
    Sigmoid,
    /// Squared distance of the margin from 1 / 2β (<https://arxiv.org/abs/2310.12036>).
    Ipo,
}

impl Default for PreferenceRecipe {
    fn default() -> Self {
        PreferenceRecipe {
            beta: 0.1,
            loss_type: DpoLossType::Sigmoid,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
        }
    }
}
