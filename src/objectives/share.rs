//! What one batch adds to the loss and the figures of several.

use crate::models::float_tensor;
use burn::tensor::Tensor;
use std::iter::Sum;

/// What means are taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens whose cross-entropy counts.
    pub tokens: usize,
    /// Chosen, or liked, answers.
    pub chosen: usize,
    /// Rejected, or disliked, answers.
    pub rejected: usize,
}

/// A batch's part of the means over all batches. Parts are added up.
#[derive(Debug, Clone)]
pub struct Share {
    /// `[1]`, with gradients.
    pub loss: Tensor<1>,
    /// Sums over answers, without gradients: `[6]` for pairs, `[4]` for rated answers, as
    /// [`crate::train::PreferenceMetrics::from_sums`] reads them.
    pub preference: Option<Tensor<1>>,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), |a, b| Counts {
            tokens: a.tokens + b.tokens,
            chosen: a.chosen + b.chosen,
            rejected: a.rejected + b.rejected,
        })
    }
}

impl Share {
    /// # Shapes
    /// - loss: `[1]`, summed over tokens
    pub(super) fn of_tokens(loss: Tensor<1>, whole: &Counts) -> Share {
        Share { loss: loss / whole.tokens as f64, preference: None }
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
        Share { loss: loss / whole.chosen as f64, preference: Some(Tensor::cat(sums, 0)) }
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
        Share { loss: loss / answers, preference: Some(Tensor::cat(sums, 0)) }
    }
}
