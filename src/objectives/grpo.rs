//! Group relative policy optimisation: answers that the model has sampled itself become likelier where they earned more
//! than the other answers to the same prompt, and less likely where they earned less. As in TRL's `GRPOTrainer`.

use super::Share;
use super::criterion::{Criterion, count_tokens};
use super::log_probs::{fixed_token_log_probs, row_lengths, token_log_probs};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, RolloutMetrics};
use crate::models::{Decoder, Model, float_tensor};
use crate::recipe::{GrpoLossType, GrpoRecipe};
use burn::tensor::Tensor;

/// The objective `grpo`.
#[derive(Debug)]
pub struct Grpo {
    /// The model as it was before training.
    pub reference: Model,
    pub recipe: GrpoRecipe,
}

impl Criterion for Grpo {
    fn counts(&self, batch: &Batch) -> Counts {
        Counts { texts: batch.batch, ..count_tokens(batch) }
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model.decoder()?, self.reference.decoder()?, batch, &self.recipe, whole))
    }

    fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        let mean = |sum: &f64| sum / whole.tokens.max(1) as f64;
        let (kl, clip_ratio) = (sums.first().map(mean), sums.get(1).map(mean));
        // What the answers earned is known where they were sampled.
        Metrics::Rollout(RolloutMetrics { kl, clip_ratio, ..RolloutMetrics::default() })
    }
}

/// Keeps the advantages of a group whose rewards are all but equal small.
const LEAST_SPREAD: f64 = 1e-4;

/// How much better each answer of one group is than the group, in standard deviations (with Bessel's correction):
/// (r − mean) / (std + 1e-4) (<https://arxiv.org/abs/2402.03300>, section 4.1.2).
pub fn advantages(rewards: &[f64]) -> Vec<f64> {
    let count = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / count;
    let squares: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    let deviation = if rewards.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
    rewards.iter().map(|reward| (reward - mean) / (deviation + LEAST_SPREAD)).collect()
}

/// The batch's share of the mean over `whole.tokens` tokens of answers, or with the loss type `grpo` over `whole.texts`
/// answers, each the mean of its tokens (<https://arxiv.org/abs/2402.03300>, equation 3).
///
/// With ρ = π / π_old of a token, and the advantage a of its answer, a token costs −min(ρ·a, clip(ρ, 1 − ε, 1 + ε)·a), plus
/// β·ρ·(e^d − d − 1) with d = log π_ref − log π, an estimate of KL(π ‖ π_ref). Without [`Batch::old_log_probs`] the answers
/// are of the model as it is, and ρ is 1. Probabilities are those at the temperature of the sampling.
///
/// Its figures are the sums over tokens of that estimate, and of how many are clipped: `[2]`.
pub fn share(
    model: &Decoder,
    reference: &Decoder,
    batch: &Batch,
    recipe: &GrpoRecipe,
    whole: &Counts,
) -> Share {
    let device = model.device();
    let lengths = row_lengths(batch);
    let tokens = batch.supervised_tokens;
    let of_rows = |value: &dyn Fn(usize) -> f32| {
        let values = lengths.iter().enumerate().flat_map(|(row, &length)| vec![value(row); length]);
        float_tensor(values.collect(), [tokens], &device)
    };
    let log_probs = token_log_probs(model, batch, recipe.temperature); // [tokens]
    let old = match batch.old_log_probs.is_empty() {
        true => log_probs.clone().inner(),
        false => float_tensor(batch.old_log_probs.clone(), [tokens], &device),
    };
    let ratio = (log_probs.clone() - old).exp();

    let advantages = of_rows(&|row| batch.advantages[row]);
    let gain = ratio.clone() * advantages.clone();
    let above = ratio.clone().greater_elem(1.0 + recipe.epsilon).float()
        * advantages.clone().greater_elem(0.0).float();
    let below =
        ratio.clone().lower_elem(1.0 - recipe.epsilon).float() * advantages.clone().lower_elem(0.0).float();
    // Beyond its bound a token's gain is the bound's, which has no gradient.
    let bound =
        (above.clone() * (1.0 + recipe.epsilon) + below.clone() * (1.0 - recipe.epsilon)) * advantages;
    let clipped = above + below;
    let mut losses = -(gain * (-clipped.clone() + 1.0) + bound);

    let of_reference = fixed_token_log_probs(reference, batch, recipe.temperature);
    let apart = -(log_probs - of_reference);
    let divergence = (apart.clone().exp() - apart - 1.0) * ratio;
    if recipe.beta > 0.0 {
        losses = losses + divergence.clone() * recipe.beta;
    }
    let weights = match recipe.loss_type {
        GrpoLossType::Dapo => of_rows(&|_| 1.0 / whole.tokens as f32),
        GrpoLossType::Grpo => of_rows(&|row| 1.0 / (lengths[row] * whole.texts) as f32),
    };
    Share {
        loss: (losses * weights).sum(),
        figures: Some(Tensor::cat(vec![divergence.inner().sum(), clipped.inner().sum()], 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rewards_teach_nothing() {
        assert_eq!(advantages(&[0.5, 0.5, 0.5]), [0.0; 3]);
        assert_eq!(advantages(&[2.0]), [0.0]);
        assert!((advantages(&[0.0, 1.0])[1] - 0.5 / (0.5f64.sqrt() + 1e-4)).abs() < 1e-12);
    }
}
