//! What a preference batch has beside its answers: the answers they are set against, and labels.

use super::order::{BatchOptions, BatchRow};
use crate::data::encode::example::{Example, Preference, Sequence};

/// What the second half of a preference batch holds, one sequence a row; nothing for other data.
pub(super) fn other_answers(
    examples: &[Example],
    rows: &[BatchRow],
    options: &BatchOptions,
) -> Vec<Sequence> {
    let answers: Vec<&Example> =
        rows.iter().flat_map(|row| row.examples.iter().map(|&index| &examples[index])).collect();
    let before = answers.iter().cycle().skip(answers.len().saturating_sub(1));
    let pairs = answers.iter().zip(before);
    pairs
        .filter_map(|(example, before)| match &example.preference {
            Some(Preference::Over(rejected)) => Some(rejected.clone()),
            Some(Preference::Label(_)) => Some(mismatched(example, before, options.max_seq_length)),
            None => None,
        })
        .collect()
}

/// The prompt of one example with the answer of another.
fn mismatched(prompt: &Example, answer: &Example, max_seq_length: usize) -> Sequence {
    let start = |example: &Example| example.loss_mask.iter().position(|&trained| trained).unwrap_or(0);
    let (end, start) = (start(prompt), start(answer));
    let mut input_ids = prompt.input_ids[..end].to_vec();
    input_ids.extend(&answer.input_ids[start..]);
    let mut loss_mask = vec![false; end];
    loss_mask.extend(&answer.loss_mask[start..]);
    input_ids.truncate(max_seq_length);
    loss_mask.truncate(max_seq_length);
    Sequence { input_ids, loss_mask }
}

/// Whether each rated answer is liked; empty for other data.
pub(super) fn labels(examples: &[Example], rows: &[BatchRow]) -> Vec<bool> {
    let label = |&index: &usize| match examples[index].preference {
        Some(Preference::Label(liked)) => Some(liked),
        _ => None,
    };
    rows.iter().flat_map(|row| &row.examples).filter_map(label).collect()
}
