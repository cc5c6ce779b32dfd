//! Rows that are far longer or shorter than the others: often a paste gone wrong, or half a row.

use super::finding::{Finding, FindingKind, rows_are};
use super::text;
use crate::data::types::Dataset;
use crate::recipe::Fix;

/// Fewer rows have no usual length.
const FEWEST_ROWS: usize = 20;
/// A row is an outlier this many quartile ranges beyond the quartiles, on a scale of ratios (Tukey's far out).
const RANGES: f64 = 3.0;
/// Rows of all but one length are not outliers for a few characters: at least so much is a quartile range.
const SMALLEST_RANGE: f64 = 0.25;

pub fn finding(dataset: &Dataset) -> Option<Finding> {
    let usual = usual(dataset)?;
    let note = |place: usize| {
        let length = text::length(&dataset.rows[place].content);
        let most = format!("where most have {:.0} to {:.0}", usual.lower.exp(), usual.upper.exp());
        (place, format!("{length} characters, {most}"))
    };
    let places: Vec<(usize, String)> = rows(dataset).into_iter().map(note).collect();
    Finding::of(FindingKind::LengthOutliers, Fix::DropOutliers, dataset, &places, |count| {
        format!("{} far longer or shorter than the others", rows_are(count))
    })
}

pub fn rows(dataset: &Dataset) -> Vec<usize> {
    let Some(Usual { lower, upper }) = usual(dataset) else { return Vec::new() };
    let reach = RANGES * (upper - lower).max(SMALLEST_RANGE);
    let lengths = logarithms(dataset);
    lengths
        .into_iter()
        .filter(|(_, l)| *l < lower - reach || *l > upper + reach)
        .map(|(place, _)| place)
        .collect()
}

/// The quartiles of the logarithms of the rows' lengths.
struct Usual {
    lower: f64,
    upper: f64,
}

fn usual(dataset: &Dataset) -> Option<Usual> {
    let mut lengths: Vec<f64> = logarithms(dataset).into_iter().map(|(_, length)| length).collect();
    if lengths.len() < FEWEST_ROWS {
        return None;
    }
    lengths.sort_by(f64::total_cmp);
    let quartile = |quarters: usize| lengths[(lengths.len() - 1) * quarters / 4];
    Some(Usual { lower: quartile(1), upper: quartile(3) })
}

/// By place; blank rows are left out anyway.
fn logarithms(dataset: &Dataset) -> Vec<(usize, f64)> {
    let rows = dataset.rows.iter().enumerate().filter(|(_, row)| !row.content.is_blank());
    rows.map(|(place, row)| (place, (text::length(&row.content).max(1) as f64).ln())).collect()
}
