//! What a batch of texts that are compared has beside its first texts.

use super::order::BatchRow;
use crate::data::encode::example::{Contrast, Example, Sequence};

/// What a batch holds after its first texts: what each is compared with, then the negatives of those that have one.
pub(super) fn other_texts(examples: &[Example], rows: &[BatchRow]) -> Vec<Sequence> {
    let contrasts = || of(examples, rows);
    let texts = contrasts().map(Contrast::other).chain(contrasts().filter_map(Contrast::negative));
    texts.map(|ids| Sequence { input_ids: ids.to_vec(), loss_mask: vec![false; ids.len()] }).collect()
}

/// How many of a batch's rows are compared with others.
pub(super) fn anchors(examples: &[Example], rows: &[BatchRow]) -> usize {
    of(examples, rows).count()
}

/// The scores of scored pairs; empty for other data.
pub(super) fn scores(examples: &[Example], rows: &[BatchRow]) -> Vec<f32> {
    let score = |contrast: &Contrast| match contrast {
        Contrast::Scored { score, .. } => Some(*score),
        Contrast::Pair { .. } => None,
    };
    of(examples, rows).filter_map(score).collect()
}

fn of<'a>(examples: &'a [Example], rows: &'a [BatchRow]) -> impl Iterator<Item = &'a Contrast> {
    rows.iter().flat_map(|row| &row.examples).filter_map(|&index| examples[index].contrast.as_ref())
}
