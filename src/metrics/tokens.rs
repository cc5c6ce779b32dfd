//! What is measured of cross-entropy over tokens.

use super::figure::{Better, Figure, Label, Rank, Unit};

/// What the objectives `text` and `sft` report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenMetrics {
    /// exp(loss); an evaluation alone has it.
    pub perplexity: Option<f64>,
    /// Mean KL(base ‖ tuned) over the target tokens, in nats; a step with `train.kl_to_base` alone has it.
    pub kl_to_base: Option<f64>,
}

impl TokenMetrics {
    pub(super) const FIGURES: &[Figure<TokenMetrics>] = &[
        Figure {
            label: Label {
                name: "perplexity",
                better: Better::Lower,
                unit: Unit::Number,
                rank: Rank::Summary,
                step: None,
                evaluation: Some("perplexity"),
            },
            value: |metrics| metrics.perplexity,
        },
        Figure {
            label: Label {
                name: "KL to the base",
                better: Better::Lower,
                unit: Unit::Number,
                rank: Rank::Detail,
                step: Some("kl_to_base"),
                evaluation: None,
            },
            value: |metrics| metrics.kl_to_base,
        },
    ];
}
