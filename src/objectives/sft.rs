//! Supervised fine-tuning: cross-entropy of the next token over the positions that the
//! loss mask marks, as in TRL's `SFTTrainer`.

use crate::data::batch::Batch;
use crate::models::head::token_losses;
use crate::models::{Llama, int_tensor};
use burn::tensor::Tensor;

/// Summed cross-entropy, `[1]`. Only supervised positions reach the output projection.
pub fn loss(model: &Llama, batch: &Batch) -> Tensor<1> {
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
