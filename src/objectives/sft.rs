//! Supervised fine-tuning: cross-entropy of the next token over the positions that the
//! loss mask marks, as in TRL's `SFTTrainer`.

use super::Share;
use super::criterion::{Criterion, count_tokens};
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics, TokenMetrics};
use crate::models::head::token_losses;
use crate::models::{Decoder, Model, int_tensor};
use burn::tensor::Tensor;

/// The objective `sft`.
#[derive(Debug)]
pub struct Sft;

impl Criterion for Sft {
    fn counts(&self, batch: &Batch) -> Counts {
        count_tokens(batch)
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(Share::of_tokens(loss(model.decoder()?, batch), whole))
    }

    fn metrics(&self, _: &[f64], _: &Counts) -> Metrics {
        Metrics::Tokens(TokenMetrics::default())
    }
}

/// Summed cross-entropy, `[1]`. Only supervised positions reach the output projection.
pub fn loss(model: &Decoder, batch: &Batch) -> Tensor<1> {
    let hidden = model.forward(&batch.input()); // [batch * seq, hidden]
    let supervised = || batch.targets_mask.iter().enumerate().filter(|(_, mask)| **mask).map(|(i, _)| i);
    let positions: Vec<u32> = supervised().map(|i| i as u32).collect();
    let targets: Vec<u32> = supervised().map(|i| batch.targets[i]).collect();
    if targets.is_empty() {
        return Tensor::zeros([1], &model.device());
    }
    let hidden = hidden.select(0, int_tensor(&positions, &model.device())); // [targets, hidden]
    token_losses(hidden, model.head(), &targets).sum()
}
