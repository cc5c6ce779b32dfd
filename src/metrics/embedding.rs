//! How well texts are compared by their embeddings.

use super::figure::{Better, Figure, Label, Rank, Unit};
use serde::{Deserialize, Serialize};

/// Pairs are measured by a search, scored pairs by the order of their cosines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct EmbeddingMetrics {
    /// Share of the anchors whose own positive is the nearest of all rows' positives and negatives.
    pub recall_at_1: Option<f64>,
    /// Share of the anchors whose own positive is among the nearest five.
    pub recall_at_5: Option<f64>,
    /// Mean over the anchors of 1 / rank of the own positive.
    pub mrr: Option<f64>,
    /// For scored pairs, Spearman's rank correlation of cosines and scores; null where one side is all equal.
    pub spearman: Option<f64>,
    /// How many texts each anchor is compared with.
    pub candidates: Option<usize>,
}

impl EmbeddingMetrics {
    pub(super) const FIGURES: &[Figure<EmbeddingMetrics>] = &[
        Figure {
            label: Label {
                name: "recall@1",
                better: Better::Higher,
                unit: Unit::Share,
                rank: Rank::First,
                step: None,
                evaluation: Some("embedding.recall_at_1"),
            },
            value: |metrics| metrics.recall_at_1,
        },
        Figure {
            label: Label {
                name: "recall@5",
                better: Better::Higher,
                unit: Unit::Share,
                rank: Rank::Detail,
                step: None,
                evaluation: Some("embedding.recall_at_5"),
            },
            value: |metrics| metrics.recall_at_5,
        },
        Figure {
            label: Label {
                name: "MRR",
                better: Better::Higher,
                unit: Unit::Number,
                rank: Rank::Summary,
                step: None,
                evaluation: Some("embedding.mrr"),
            },
            value: |metrics| metrics.mrr,
        },
        Figure {
            label: Label {
                name: "Spearman",
                better: Better::Higher,
                unit: Unit::Number,
                rank: Rank::First,
                step: None,
                evaluation: Some("embedding.spearman"),
            },
            value: |metrics| metrics.spearman,
        },
    ];
}
