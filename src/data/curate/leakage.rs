//! Held-out rows with a near copy among the training rows: the validation loss then tells of recitation.

use super::finding::{Finding, FindingKind};
use super::near_duplicates::Pair;
use crate::data::types::Dataset;
use crate::recipe::Fix;
use std::collections::{HashMap, HashSet};

pub fn finding(dataset: &Dataset, pairs: &[Pair], held_out: &HashSet<usize>) -> Option<Finding> {
    // Rows that are alike, each group under its earliest.
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for pair in pairs {
        groups.entry(pair.first).or_insert_with(|| vec![pair.first]).push(pair.second);
    }
    let mut leaked: Vec<(usize, String)> = Vec::new();
    for group in groups.values() {
        let Some(trained) = group.iter().find(|place| !held_out.contains(place)) else { continue };
        let line = dataset.rows[*trained].line;
        let copies = group.iter().filter(|place| held_out.contains(place));
        leaked.extend(copies.map(|&place| (place, format!("line {line} is trained on"))));
    }
    leaked.sort();
    Finding::of(FindingKind::Leakage, Fix::DropNearDuplicates, dataset, &leaked, |count| {
        let (rows, have) = if count == 1 { ("row", "has") } else { ("rows", "have") };
        format!(
            "{count} of {} held-out {rows} {have} a near copy among the training rows, which makes the validation loss too good",
            held_out.len()
        )
    })
}
