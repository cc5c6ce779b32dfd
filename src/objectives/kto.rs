//! Kahneman-Tversky optimisation: answers that are liked, or not, without a second answer to
//! compare with. As in TRL's `KTOTrainer`.

use super::Share;
use super::criterion::Criterion;
use super::log_probs::{reference_log_probs, row_log_probs};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, PreferenceMetrics};
use crate::models::{Decoder, Model, float_tensor};
use crate::recipe::PreferenceRecipe;
use burn::tensor::activation::sigmoid;

/// The objective `kto`.
#[derive(Debug)]
pub struct Kto {
    /// The model as it was before training.
    pub reference: Model,
    pub recipe: PreferenceRecipe,
}

impl Criterion for Kto {
    fn counts(&self, batch: &Batch) -> Counts {
        let liked = batch.labels.iter().filter(|&&label| label).count();
        Counts { chosen: liked, rejected: batch.labels.len() - liked, ..Counts::default() }
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model.decoder()?, self.reference.decoder()?, batch, &self.recipe, whole))
    }

    fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        PreferenceMetrics::from_sums(sums, whole).map_or(Metrics::Nothing, Metrics::Preference)
    }
}

/// The batch's share of the mean over `whole.chosen + whole.rejected` answers. Its rows are the
/// answers, then each prompt with another prompt's answer (<https://arxiv.org/abs/2402.01306>,
/// equations 7 and 8).
///
/// With r = π − ref of log-probabilities summed over answer tokens, and z the mean of r over the
/// mismatched answers, at least 0 and taken as a constant: a liked answer costs
/// λ_D·(1 − σ(β·(r − z))), a disliked one λ_U·(1 − σ(β·(z − r))). z belongs to the micro-batch. A
/// reward is β·r.
pub fn share(
    model: &Decoder,
    reference: &Decoder,
    batch: &Batch,
    recipe: &PreferenceRecipe,
    whole: &Counts,
) -> Share {
    let rows = batch.labels.len();
    let (answers, mismatched) = (batch.rows(0..rows), batch.rows(rows..2 * rows));
    let log_probs = row_log_probs(model, &answers); // [rows]
    let log_ratios = log_probs.clone() - reference_log_probs(reference, &answers, &log_probs);
    let of_model = row_log_probs(model, &mismatched);
    let of_reference = reference_log_probs(reference, &mismatched, &of_model);
    let shift = (of_model.inner() - of_reference).mean().clamp_min(0.0); // [1]

    let by_label = |liked: f64, disliked: f64| {
        let values = batch.labels.iter().map(|&label| if label { liked } else { disliked } as f32).collect();
        float_tensor(values, [rows], &model.device())
    };
    let sign = by_label(1.0, -1.0);
    let weight = by_label(recipe.desirable_weight, recipe.undesirable_weight);
    let gain = sigmoid((log_ratios.clone() - shift) * sign * recipe.beta);
    let loss = (weight.clone() - weight * gain).sum();
    Share::of_rated(loss, log_ratios * recipe.beta, log_probs, &batch.labels, whole)
}
