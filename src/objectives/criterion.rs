//! What an objective is to a run.

use super::Share;
use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics};
use crate::models::Model;
use std::fmt::Debug;

/// A loss and what is measured beside it, with the settings and the reference model that they need.
pub trait Criterion: Debug {
    /// What a batch contributes to the counts that the loss is a mean over.
    fn counts(&self, batch: &Batch) -> Counts;

    /// The batch's share of the mean loss over several batches, whose counts together are `whole`.
    ///
    /// # Errors
    /// The model is an encoder, and the objective is for what writes text.
    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share>;

    /// What else is measured, from the sums of [`Share::figures`] over all batches.
    fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics;
}

/// For a mean over target tokens.
pub(super) fn count_tokens(batch: &Batch) -> Counts {
    Counts { tokens: batch.supervised_tokens, ..Counts::default() }
}

/// For a mean over pairs of answers.
pub(super) fn count_pairs(batch: &Batch) -> Counts {
    let pairs = batch.batch / 2;
    Counts { chosen: pairs, rejected: pairs, ..Counts::default() }
}
