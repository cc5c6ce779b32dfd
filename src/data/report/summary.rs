//! The figures of a data set.

use super::statement::Statement;
use crate::data::curate::{Change, Finding};
use crate::data::encode::Encoded;
use crate::data::encode::skipped::{SkipReason, SkippedRow};
use crate::data::listing::RowList;
use crate::data::shape::classes::{ClassCount, class_counts};
use crate::data::types::{DataShape, Dataset, RowContent};
use crate::recipe::Objective;
use serde::Serialize;
use std::collections::HashSet;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DataReport {
    pub file: String,
    pub shape: DataShape,
    /// The shape in words.
    pub shape_label: String,
    pub rows: usize,
    /// Sequences to learn from: a long text makes several, a skipped row none.
    pub examples: usize,
    pub tokens: usize,
    pub trained_tokens: usize,
    /// Tokens an example had before it was cut.
    pub length_min: usize,
    pub length_median: usize,
    pub length_p95: usize,
    pub length_max: usize,
    pub length_histogram: Vec<LengthBin>,
    /// Rows that say the same as an earlier one.
    pub duplicates: RowList,
    /// Rows left out because they have nothing to learn from.
    pub empty: RowList,
    /// Rows cut at `max_seq_length`.
    pub truncated: RowList,
    /// Rows left out because the cut leaves no token to train on.
    pub fully_masked: RowList,
    /// The classes of labelled texts, with their rows; empty for other data.
    pub classes: Vec<ClassCount>,
    /// What can be learned from rows of this shape.
    pub objectives: Vec<Objective>,
    pub notes: Vec<String>,
    /// What to look at before training.
    pub findings: Vec<Finding>,
    /// What `data.fix` has changed.
    pub changes: Vec<Change>,
    /// All of that in sentences, and whether rows are held out: what the terminal, the page and the run's record say.
    pub account: Vec<Statement>,
}

/// Examples of `from` up to, but not including, `to` tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct LengthBin {
    pub from: usize,
    pub to: usize,
    pub count: usize,
}

const HISTOGRAM_BINS: usize = 16;

pub fn report(dataset: &Dataset, encoded: &Encoded) -> DataReport {
    let mut lengths = encoded.full_lengths.clone();
    lengths.sort_unstable();
    let quantile = |share: f64| {
        let index = ((lengths.len() as f64 * share).ceil() as usize).saturating_sub(1);
        lengths.get(index).copied().unwrap_or(0)
    };
    let line = |row: usize| dataset.rows[row].line;
    let skipped = |wanted: fn(&SkipReason) -> bool| {
        encoded.skipped.iter().filter(move |s| wanted(&s.reason)).map(|s| line(s.row))
    };
    let mut truncated: Vec<usize> = encoded.examples.iter().filter(|e| e.truncated).map(|e| e.row).collect();
    truncated.dedup();
    DataReport {
        file: dataset.file.clone(),
        shape: dataset.shape,
        shape_label: dataset.shape.label().into(),
        rows: dataset.rows.len(),
        examples: encoded.examples.len(),
        tokens: encoded.examples.iter().map(|e| e.tokens()).sum(),
        trained_tokens: encoded.examples.iter().map(|e| e.trained_tokens()).sum(),
        length_min: lengths.first().copied().unwrap_or(0),
        length_median: quantile(0.5),
        length_p95: quantile(0.95),
        length_max: lengths.last().copied().unwrap_or(0),
        length_histogram: histogram(&lengths),
        duplicates: RowList::new(duplicate_lines(dataset, &encoded.skipped)),
        empty: RowList::new(skipped(|r| matches!(r, SkipReason::Empty))),
        truncated: RowList::new(truncated.into_iter().map(line)),
        fully_masked: RowList::new(skipped(|r| {
            matches!(
                r,
                SkipReason::PromptTooLong { .. }
                    | SkipReason::NoAssistantTurn
                    | SkipReason::NoAnswer(_)
                    | SkipReason::ContextOnly
                    | SkipReason::SameAnswers
                    | SkipReason::AnswerTooLong { .. }
            )
        })),
        classes: class_counts(dataset),
        objectives: dataset.shape.objectives().to_vec(),
        notes: dataset.notes.iter().chain(&encoded.notes).cloned().collect(),
        findings: Vec::new(),
        changes: Vec::new(),
        account: Vec::new(),
    }
}

/// Rows that say what an earlier one says, among those that are used.
fn duplicate_lines(dataset: &Dataset, skipped: &[SkippedRow]) -> Vec<usize> {
    let skipped: HashSet<usize> = skipped.iter().map(|skipped| skipped.row).collect();
    let mut seen: HashSet<&RowContent> = HashSet::with_capacity(dataset.rows.len());
    let rows = dataset.rows.iter().enumerate();
    rows.filter(|(place, row)| !skipped.contains(place) && !seen.insert(&row.content))
        .map(|(_, row)| row.line)
        .collect()
}

/// Bins of equal width, a round number of tokens. `lengths` is sorted.
fn histogram(lengths: &[usize]) -> Vec<LengthBin> {
    let (Some(&min), Some(&max)) = (lengths.first(), lengths.last()) else { return Vec::new() };
    let width = round_width((max - min + 1).div_ceil(HISTOGRAM_BINS));
    let first = min / width * width;
    let mut bins: Vec<LengthBin> =
        (first..=max).step_by(width).map(|from| LengthBin { from, to: from + width, count: 0 }).collect();
    for length in lengths {
        bins[(length - first) / width].count += 1;
    }
    bins
}

/// The next of 1, 2, 5, 10, 20, 50, …
fn round_width(width: usize) -> usize {
    let mut unit = 1;
    loop {
        for step in [1, 2, 5] {
            if step * unit >= width {
                return step * unit;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_round_and_cover_every_length() {
        let bins = histogram(&[7, 9, 30, 512]);
        assert_eq!((bins[0].from, bins[0].to, bins[0].count), (0, 50, 3));
        assert_eq!(bins.last().map(|b| (b.from, b.to, b.count)), Some((500, 550, 1)));
        assert_eq!(histogram(&[4, 4]), [LengthBin { from: 4, to: 5, count: 2 }]);
        assert_eq!(histogram(&[]), []);
    }
}
