//! A reward model: one number an answer, higher for the chosen answer of a pair than for the rejected
//! one. As in TRL's `RewardTrainer`.

use super::Share;
use crate::data::batch::Batch;
use crate::metrics::Counts;
use crate::models::Llama;
use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;

/// The batch's share of the mean of −log σ(r_chosen − r_rejected) over `whole.chosen` pairs (Bradley and
/// Terry's model, <https://arxiv.org/abs/2203.02155>, equation 1). Its rows are the chosen answers, then
/// the rejected ones, each after its prompt.
///
/// Its figures are the sums of both rewards, and how many chosen answers have the higher one: `[3]`.
pub fn share(model: &Llama, batch: &Batch, whole: &Counts) -> Share {
    let rewards = model.scores(&batch.input()).squeeze_dim::<1>(1); // [2 * pairs]
    let pairs = batch.batch / 2;
    let (chosen, rejected) = (rewards.clone().narrow(0, 0, pairs), rewards.narrow(0, pairs, pairs));
    let loss = -log_sigmoid(chosen.clone() - rejected.clone()).sum() / whole.chosen as f64;
    let (chosen, rejected) = (chosen.inner(), rejected.inner());
    let wins = chosen.clone().greater(rejected.clone()).float().sum();
    Share { loss, figures: Some(Tensor::cat(vec![chosen.sum(), rejected.sum(), wins], 0)) }
}
