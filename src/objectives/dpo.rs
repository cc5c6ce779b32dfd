//! Direct preference optimisation: the model is moved to find the chosen answer likelier than the
//! rejected one, by more than the reference does. As in TRL's `DPOTrainer`.

use super::Share;
use super::criterion::{Criterion, count_pairs};
use super::log_probs::{reference_log_probs, row_lengths, row_log_probs};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, PreferenceMetrics};
use crate::models::{Decoder, Model, float_tensor};
use crate::recipe::{DpoLossType, PreferenceRecipe};
use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;

/// The objective `dpo`.
#[derive(Debug)]
pub struct Dpo {
    /// The model as it was before training.
    pub reference: Model,
    pub recipe: PreferenceRecipe,
}

impl Criterion for Dpo {
    fn counts(&self, batch: &Batch) -> Counts {
        count_pairs(batch)
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model.decoder()?, self.reference.decoder()?, batch, &self.recipe, whole))
    }

    fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        PreferenceMetrics::from_sums(sums, whole).map_or(Metrics::Nothing, Metrics::Preference)
    }
}

/// The batch's share of the mean over `whole.chosen` pairs. Its rows are chosen answers, then the
/// rejected ones.
///
/// With the margin h = (π_c − ref_c) − (π_r − ref_r) of log-probabilities summed over answer tokens:
/// - sigmoid: −log σ(β·h) (<https://arxiv.org/abs/2305.18290>, equation 7);
/// - ipo: (h − 1 / 2β)², log-probabilities averaged (<https://arxiv.org/abs/2310.12036>, equation 17).
///
/// A reward is β·(π − ref).
pub fn share(
    model: &Decoder,
    reference: &Decoder,
    batch: &Batch,
    recipe: &PreferenceRecipe,
    whole: &Counts,
) -> Share {
    let log_probs = row_log_probs(model, batch); // [2 * pairs]
    let log_ratios = log_probs.clone() - reference_log_probs(reference, batch, &log_probs);
    let loss = match recipe.loss_type {
        DpoLossType::Sigmoid => -log_sigmoid(margins(log_ratios.clone()) * recipe.beta),
        DpoLossType::Ipo => {
            let lengths: Vec<f32> =
                row_lengths(batch).into_iter().map(|length| length.max(1) as f32).collect();
            let lengths = float_tensor(lengths, [batch.batch], &model.device());
            (margins(log_ratios.clone() / lengths) - 1.0 / (2.0 * recipe.beta)).square()
        }
    };
    Share::of_pairs(loss.sum(), log_ratios * recipe.beta, log_probs, whole)
}

/// What the first half has more than the second: `[2 * pairs]` to `[pairs]`.
fn margins(values: Tensor<1>) -> Tensor<1> {
    let pairs = values.dims()[0] / 2;
    values.clone().narrow(0, 0, pairs) - values.narrow(0, pairs, pairs)
}
