//! Looking for what spoils a data set, and mending it: one finding a file.
//!
//! A [`Finding`] names rows before training; a [`Fix`] of `data.fix` changes them, and each [`Change`] is logged with the run. The
//! user's file itself is never written to.

pub mod control_tokens;
mod finding;
mod label_balance;
mod language;
mod leakage;
mod length_outliers;
mod near_duplicates;
mod personal_data;
mod text;

pub use finding::{Change, Finding, FindingKind, FoundRow};

use crate::data::types::{Dataset, Row};
use crate::error::{Error, Result};
use crate::recipe::Fix;
use std::collections::HashSet;
use std::sync::Arc;

/// What there is to know of the rows; `held_out` are those, by place, that the run would validate on.
pub fn findings(dataset: &Dataset, held_out: &HashSet<usize>) -> Vec<Finding> {
    let pairs = near_duplicates::pairs(dataset);
    [
        near_duplicates::finding(dataset, &pairs),
        leakage::finding(dataset, &pairs.pairs, held_out),
        length_outliers::finding(dataset),
        label_balance::finding(dataset),
        language::finding(dataset),
        personal_data::finding(dataset),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Applies `fixes` in the order given, then keeps the first `max_rows` rows.
///
/// # Errors
/// No row is left.
pub fn apply(mut dataset: Dataset, fixes: &[Fix], max_rows: Option<usize>) -> Result<(Dataset, Vec<Change>)> {
    let mut changes = Vec::new();
    for &fix in fixes {
        let before = dataset.rows.len();
        let mut rest = None;
        let lines = match fix {
            Fix::Redact => personal_data::redact(&mut dataset),
            Fix::DropDuplicates => drop_rows(&mut dataset, near_duplicates::exact),
            Fix::DropNearDuplicates => {
                let pairs = near_duplicates::pairs(&dataset);
                rest = pairs.rest(&dataset);
                drop_rows(&mut dataset, |dataset| near_duplicates::all(dataset, &pairs))
            }
            Fix::DropOutliers => drop_rows(&mut dataset, length_outliers::rows),
            Fix::BalanceLabels => drop_rows(&mut dataset, label_balance::rows),
            Fix::DropOtherLanguages => drop_rows(&mut dataset, language::rows),
        };
        let did = if fix == Fix::Redact { "changed" } else { "left out" };
        let rest = rest.map(|rest| format!("; {rest}")).unwrap_or_default();
        let sentence = format!("{}: {} of {before} rows {did}{rest}", fix.name(), lines.len());
        changes.push(Change { fix, sentence, lines });
    }
    if let Some(max_rows) = max_rows.filter(|&max_rows| max_rows < dataset.rows.len()) {
        dataset.notes.push(format!(
            "only the first {max_rows} of {} rows are used (data.max_rows)",
            dataset.rows.len()
        ));
        dataset.rows.truncate(max_rows);
    }
    if dataset.rows.is_empty() {
        return Err(Error::InvalidData {
            file: dataset.file,
            reason: "has no row left after data.fix; take out the fix that drops them".into(),
        });
    }
    Ok((dataset, changes))
}

/// Takes out the rows at these places, and returns their lines.
fn drop_rows(dataset: &mut Dataset, places: impl Fn(&Dataset) -> Vec<usize>) -> Vec<usize> {
    let dropped: HashSet<usize> = places(dataset).into_iter().collect();
    let (mut kept, mut lines): (Vec<Arc<Row>>, Vec<usize>) = (Vec::new(), Vec::new());
    for (place, row) in std::mem::take(&mut dataset.rows).into_iter().enumerate() {
        if dropped.contains(&place) { lines.push(row.line) } else { kept.push(row) }
    }
    dataset.rows = kept;
    lines
}
