//! Classes of very different sizes: a model can be right most of the time by always naming the largest.

use super::finding::{Finding, FindingKind};
use crate::data::types::{Dataset, RowContent};
use crate::recipe::Fix;
use std::collections::BTreeMap;

/// A class may have this many times the rows of the smallest.
const RATIO: usize = 3;

pub fn finding(dataset: &Dataset) -> Option<Finding> {
    let classes = by_class(dataset);
    let size = |places: &Vec<usize>| places.len();
    let (largest, most) =
        classes.iter().map(|(label, rows)| (label, size(rows))).max_by_key(|(_, rows)| *rows)?;
    let (smallest, fewest) =
        classes.iter().map(|(label, rows)| (label, size(rows))).min_by_key(|(_, rows)| *rows)?;
    let note = |place: usize| (place, class(&dataset.rows[place].content).unwrap_or_default());
    let places: Vec<(usize, String)> = rows(dataset).into_iter().map(note).collect();
    Finding::of(FindingKind::LabelBalance, Fix::BalanceLabels, dataset, &places, |count| {
        format!(
            "\"{largest}\" has {most} rows and \"{smallest}\" {fewest}; with {count} rows left out none would have more \
             than {RATIO} times the smallest"
        )
    })
}

/// Rows beyond what a class may have, taken evenly from all over the file.
pub fn rows(dataset: &Dataset) -> Vec<usize> {
    let classes = by_class(dataset);
    let allowed = RATIO * classes.values().map(Vec::len).min().unwrap_or(0);
    let mut dropped = Vec::new();
    for places in classes.values().filter(|places| places.len() > allowed) {
        // Row i of n is kept where the count of kept rows, i · allowed / n, goes up.
        let kept = |i: usize| i * allowed / places.len();
        dropped.extend((0..places.len()).filter(|&i| kept(i + 1) == kept(i)).map(|i| places[i]));
    }
    dropped.sort_unstable();
    dropped
}

fn by_class(dataset: &Dataset) -> BTreeMap<String, Vec<usize>> {
    let mut classes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, row) in dataset.rows.iter().enumerate().filter(|(_, row)| !row.content.is_blank()) {
        if let Some(class) = class(&row.content) {
            classes.entry(class).or_default().push(place);
        }
    }
    classes
}

fn class(content: &RowContent) -> Option<String> {
    match content {
        RowContent::Labelled { label, .. } => Some(label.clone()),
        RowContent::Unpaired { label, .. } => Some(if *label { "liked" } else { "disliked" }.into()),
        _ => None,
    }
}
