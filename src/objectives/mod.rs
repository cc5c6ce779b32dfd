//! Losses: pure functions of (model, batch). No state, no IO, no random numbers.

pub mod sft;
pub mod text;

use crate::data::batch::Batch;
use crate::models::{Input, Llama};
use crate::recipe::Objective;
use burn::tensor::Tensor;

/// A loss summed over the batch's targets, `[1]`; the trainer divides by their count over
/// the whole accumulated batch.
pub type Loss = fn(&Llama, &Batch) -> Tensor<1>;

/// The loss of an objective.
pub fn loss(objective: Objective) -> Loss {
    match objective {
        Objective::Text => text::loss,
        Objective::Sft => sft::loss,
    }
}

impl Batch {
    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            input_ids: &self.input_ids,
            position_ids: &self.position_ids,
            document_ids: &self.document_ids,
            batch: self.batch,
            seq: self.seq,
        }
    }
}
