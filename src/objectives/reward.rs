//! A reward model: one number an answer, higher for the chosen answer of a pair than for the rejected
//! one. As in TRL's `RewardTrainer`.

use super::Share;
use super::criterion::{Criterion, count_pairs};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, RewardMetrics};
use crate::models::{Decoder, Model};
use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;

/// The objective `reward`.
#[derive(Debug)]
pub struct Reward;

impl Criterion for Reward {
    fn counts(&self, batch: &Batch) -> Counts {
        count_pairs(batch)
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model.decoder()?, batch, whole))
    }

    fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        RewardMetrics::from_sums(sums, whole).map_or(Metrics::Nothing, Metrics::Reward)
    }
}

/// The batch's share of the mean of −log σ(r_chosen − r_rejected) over `whole.chosen` pairs (Bradley and
/// Terry's model, <https://arxiv.org/abs/2203.02155>, equation 1). Its rows are the chosen answers, then
/// the rejected ones, each after its prompt.
///
/// Its figures are the sums of both rewards, and how many chosen answers have the higher one: `[3]`.
pub fn share(model: &Decoder, batch: &Batch, whole: &Counts) -> Share {
    let rewards = model.scores(&batch.input()).squeeze_dim::<1>(1); // [2 * pairs]
    let pairs = batch.batch / 2;
    let (chosen, rejected) = (rewards.clone().narrow(0, 0, pairs), rewards.narrow(0, pairs, pairs));
    let loss = -log_sigmoid(chosen.clone() - rejected.clone()).sum() / whole.chosen as f64;
    let (chosen, rejected) = (chosen.inner(), rejected.inner());
    let wins = chosen.clone().greater(rejected.clone()).float().sum();
    Share { loss, figures: Some(Tensor::cat(vec![chosen.sum(), rejected.sum(), wins], 0)) }
}
