//! What one batch adds to the loss and the figures of several.

use crate::metrics::Counts;
use crate::models::float_tensor;
use burn::tensor::Tensor;

/// A batch's part of the means over all batches. Parts are added up.
#[derive(Debug, Clone)]
pub struct Share {
    /// `[1]`, with gradients.
    pub loss: Tensor<1>,
    /// Sums over the batch, without gradients, as the objective's metrics read them
    /// ([`super::Loss::metrics`]): for DPO, ORPO `[6]` and KTO `[4]` over answers, for GRPO `[2]` over tokens.
    pub figures: Option<Tensor<1>>,
}

impl Share {
    /// # Shapes
    /// - loss: `[1]`, summed over tokens
    pub(super) fn of_tokens(loss: Tensor<1>, whole: &Counts) -> Share {
        Share { loss: loss / whole.tokens as f64, figures: None }
    }

    /// # Shapes
    /// - loss: `[1]`, summed over pairs
    /// - rewards, log_probs: `[2 * pairs]`, chosen answers first
    pub(super) fn of_pairs(
        loss: Tensor<1>,
        rewards: Tensor<1>,
        log_probs: Tensor<1>,
        whole: &Counts,
    ) -> Share {
        let (rewards, log_probs) = (rewards.inner(), log_probs.inner());
        let pairs = rewards.dims()[0] / 2;
        let chosen = |values: &Tensor<1>| values.clone().narrow(0, 0, pairs);
        let rejected = |values: &Tensor<1>| values.clone().narrow(0, pairs, pairs);
        let wins = |values: &Tensor<1>| chosen(values).greater(rejected(values)).float().sum();
        let sums = vec![
            chosen(&rewards).sum(),
            rejected(&rewards).sum(),
            chosen(&log_probs).sum(),
            rejected(&log_probs).sum(),
            wins(&rewards),
            wins(&log_probs),
        ];
        Share { loss: loss / whole.chosen as f64, figures: Some(Tensor::cat(sums, 0)) }
    }

    /// # Shapes
    /// - loss: `[1]`, summed over answers
    /// - rewards, log_probs, labels: `[answers]`
    pub(super) fn of_rated(
        loss: Tensor<1>,
        rewards: Tensor<1>,
        log_probs: Tensor<1>,
        labels: &[bool],
        whole: &Counts,
    ) -> Share {
        let (rewards, log_probs) = (rewards.inner(), log_probs.inner());
        let sum_of = |values: &Tensor<1>, label: bool| {
            let weights: Vec<f32> = labels.iter().map(|&l| (l == label) as u8 as f32).collect();
            (values.clone() * float_tensor(weights, [labels.len()], &values.device())).sum()
        };
        let both = |values| [sum_of(values, true), sum_of(values, false)];
        let sums = [both(&rewards), both(&log_probs)].concat();
        let answers = (whole.chosen + whole.rejected) as f64;
        Share { loss: loss / answers, figures: Some(Tensor::cat(sums, 0)) }
    }
}
