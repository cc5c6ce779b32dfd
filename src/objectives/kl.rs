//! Staying near the base: the Kullback-Leibler divergence KL(base ‖ tuned) of the next token's distribution, added to the
//! cross-entropy of `text` and `sft`. Where the base is sure of a token, the tuned model is to stay sure of it.

use super::Share;
use super::criterion::{Criterion, count_tokens};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, TokenMetrics};
use crate::models::head::{token_divergences, token_losses};
use crate::models::{Decoder, Model, int_tensor};
use burn::tensor::Tensor;

/// The objectives `text` and `sft` with `train.kl_to_base`.
#[derive(Debug)]
pub struct NearBase {
    pub base: Model,
    pub coefficient: f64,
}

impl Criterion for NearBase {
    fn counts(&self, batch: &Batch) -> Counts {
        count_tokens(batch)
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model.decoder()?, self.base.decoder()?, batch, self.coefficient, whole))
    }

    fn metrics(&self, sums: &[f64], _: &Counts) -> Metrics {
        Metrics::Tokens(TokenMetrics { kl_to_base: sums.first().copied(), perplexity: None })
    }
}

/// The batch's share of the mean cross-entropy plus `coefficient` times the mean divergence, both over the
/// `whole.tokens` supervised tokens. Its one figure `[1]` is the divergence's part, without the coefficient.
pub fn share(model: &Decoder, base: &Decoder, batch: &Batch, coefficient: f64, whole: &Counts) -> Share {
    let supervised: Vec<usize> = (0..batch.targets.len()).filter(|&i| batch.targets_mask[i]).collect();
    let targets: Vec<u32> = supervised.iter().map(|&i| batch.targets[i]).collect();
    let positions: Vec<u32> = supervised.iter().map(|&i| i as u32).collect();
    let select = |hidden: Tensor<2>| hidden.select(0, int_tensor(&positions, &model.device()));
    let hidden = select(model.forward(&batch.input())); // [tokens, hidden]
    let base_hidden = select(base.forward(&batch.input()));
    let loss = token_losses(hidden.clone(), model.head(), &targets).sum();
    let divergence = token_divergences(hidden, model.head(), base_hidden, base.head()).sum();
    let part = 1.0 / whole.tokens as f64;
    Share { loss: (loss + divergence.clone() * coefficient) * part, figures: Some(divergence.inner() * part) }
}
