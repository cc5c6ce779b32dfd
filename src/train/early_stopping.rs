//! Early stopping: a run ends when its held-out loss stops falling, and keeps the values that had the lowest.

use crate::metrics::Evaluation;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The best evaluation of a run so far. Part of a checkpoint's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestEvaluation {
    /// Steps done when it was made.
    pub step: usize,
    pub evaluation: Evaluation,
    /// Evaluations in a row since then, none of them better.
    pub without_better: usize,
}

/// The best evaluation with the trained values that it scored, `[total]`.
#[derive(Debug, Clone)]
pub struct Best {
    pub record: BestEvaluation,
    pub values: Tensor<1>,
}

impl Best {
    /// The better of what was best before and a new evaluation; equal losses count as no improvement.
    pub fn after(best: Option<Best>, step: usize, evaluation: &Evaluation, values: &Tensor<1>) -> Best {
        match best {
            Some(mut best) if best.record.evaluation.loss <= evaluation.loss => {
                best.record.without_better += 1;
                best
            }
            _ => Best {
                record: BestEvaluation { step, evaluation: evaluation.clone(), without_better: 0 },
                values: values.clone(),
            },
        }
    }
}
