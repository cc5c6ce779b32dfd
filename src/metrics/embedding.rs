//! How well texts are compared by their embeddings.

use serde::{Deserialize, Serialize};

/// Pairs are measured by a search, scored pairs by the order of their cosines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct EmbeddingMetrics {
    /// Share of the anchors whose own positive is the nearest of all rows' positives and negatives.
    pub recall_at_1: Option<f64>,
    /// Share of the anchors whose own positive is among the nearest five.
    pub recall_at_5: Option<f64>,
    /// Mean over the anchors of 1 / rank of the own positive.
    pub mrr: Option<f64>,
    /// Of scored pairs: Spearman's rank correlation of cosines and scores; null where one side is all equal.
    pub spearman: Option<f64>,
    /// How many texts each anchor is compared with.
    pub candidates: Option<usize>,
}
