//! Odds ratio preference optimisation: fine-tuning on the chosen answer, with a term that makes the
//! rejected one less likely; no reference model. As in TRL's `ORPOTrainer`.

use super::Share;
use super::criterion::{Criterion, count_pairs};
use super::log_probs::{row_lengths, weighted_losses};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, PreferenceMetrics};
use crate::models::{Decoder, Model};
use crate::recipe::PreferenceRecipe;
use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;

/// The objective `orpo`.
#[derive(Debug)]
pub struct Orpo {
    pub recipe: PreferenceRecipe,
}

impl Criterion for Orpo {
    fn counts(&self, batch: &Batch) -> Counts {
        Counts { tokens: chosen_tokens(batch), ..count_pairs(batch) }
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model.decoder()?, batch, &self.recipe, whole))
    }

    fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        PreferenceMetrics::from_sums(sums, whole).map_or(Metrics::Nothing, Metrics::Preference)
    }
}

/// The batch's share of cross-entropy over `whole.tokens` tokens of chosen prompts and answers, plus
/// −β·log σ(log odds ratio) over `whole.chosen` pairs (<https://arxiv.org/abs/2403.07691>, equation 6).
///
/// Log-probabilities p are averaged over answer tokens, odds are p − log(1 − eᵖ), a reward is β·p.
pub fn share(model: &Decoder, batch: &Batch, recipe: &PreferenceRecipe, whole: &Counts) -> Share {
    let pairs = batch.batch / 2;
    let positions: Vec<usize> = (0..batch.input_ids.len())
        .filter(|&i| batch.targets_mask[i] || (i < pairs * batch.seq && has_next(batch, i)))
        .collect();
    let targets: Vec<u32> = positions.iter().map(|&i| batch.input_ids[i + 1]).collect();
    let lengths = row_lengths(batch);
    // A sum a row for the mean log-probabilities, and one for the cross-entropy.
    let tokens = positions.len();
    let mut weights = vec![0.0; (batch.batch + 1) * tokens];
    for (column, &position) in positions.iter().enumerate() {
        let row = position / batch.seq;
        if batch.targets_mask[position] {
            weights[row * tokens + column] = -1.0 / lengths[row] as f32;
        }
        if row < pairs {
            weights[batch.batch * tokens + column] = 1.0 / whole.tokens as f32;
        }
    }
    let sums = weighted_losses(model, batch, &positions, &targets, weights);
    let log_probs = sums.clone().narrow(0, 0, batch.batch);
    let cross_entropy = sums.narrow(0, batch.batch, 1);
    let log_odds = log_probs.clone() - log1mexp(log_probs.clone());
    let ratio = log_odds.clone().narrow(0, 0, pairs) - log_odds.narrow(0, pairs, pairs);
    let odds_ratio_loss = -log_sigmoid(ratio).sum() * recipe.beta;
    let mut share = Share::of_pairs(odds_ratio_loss, log_probs.clone() * recipe.beta, log_probs, whole);
    share.loss = share.loss + cross_entropy;
    share
}

/// Tokens of chosen prompts and answers that are predicted, all but the first of each row.
pub fn chosen_tokens(batch: &Batch) -> usize {
    (0..batch.batch / 2 * batch.seq).filter(|&i| has_next(batch, i)).count()
}

fn has_next(batch: &Batch, i: usize) -> bool {
    let is_last = (i + 1).is_multiple_of(batch.seq);
    batch.document_ids[i] > 0 && !is_last && batch.document_ids[i + 1] == batch.document_ids[i]
}

/// log(1 − eˣ) for x below 0, as log(2·sinh(−x/2)) + x/2: nothing cancels where x is near 0.
fn log1mexp(x: Tensor<1>) -> Tensor<1> {
    // An answer of probability 1 would have infinite odds.
    let half = x.clamp_max(-1e-6) * 0.5;
    ((-half.clone()).sinh() * 2.0).log() + half
}
