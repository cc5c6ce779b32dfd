//! Looking for what spoils a data set, and mending it: one finding a file.
//!
//! A [`Finding`] names rows before training; a [`Fix`] of `data.fix` changes them, and each [`Change`] is logged with the run. The
//! user's file itself is never written to.

pub mod control_tokens;
mod label_balance;
mod language;
mod leakage;
mod length_outliers;
mod near_duplicates;
mod personal_data;
mod text;

use crate::data::encode::Example;
use crate::data::types::{Dataset, Row};
use crate::error::{Error, Result};
use crate::recipe::Fix;
use serde::Serialize;
use std::collections::HashSet;

/// Something to know of some rows before training on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Finding {
    pub kind: FindingKind,
    /// What was found, in words.
    pub sentence: String,
    /// Rows it is about.
    pub count: usize,
    /// The first of them.
    pub rows: Vec<FoundRow>,
    /// What would mend it.
    pub fix: Option<Fix>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum FindingKind {
    NearDuplicates,
    Leakage,
    LengthOutliers,
    LabelBalance,
    Language,
    PersonalData,
    ControlTokens,
}

/// A row that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct FoundRow {
    pub line: usize,
    /// Why, in a few words.
    pub note: String,
    /// The beginning of the row, or the part it is about.
    pub excerpt: String,
}

/// What a fix did. Part of the run's record; it holds no text of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Change {
    pub fix: Fix,
    pub sentence: String,
    /// Lines of the rows that were changed or left out.
    pub lines: Vec<usize>,
}

/// Rows listed with a finding.
const LISTED_ROWS: usize = 20;

/// What there is to know of the rows; `held_out` are the examples that the run would validate on.
pub fn findings(dataset: &Dataset, held_out: &[Example]) -> Vec<Finding> {
    let pairs = near_duplicates::pairs(dataset);
    let held_out: HashSet<usize> = held_out.iter().map(|example| example.row).collect();
    [
        near_duplicates::finding(dataset, &pairs),
        leakage::finding(dataset, &pairs.pairs, &held_out),
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
    let (mut kept, mut lines): (Vec<Row>, Vec<usize>) = (Vec::new(), Vec::new());
    for (place, row) in std::mem::take(&mut dataset.rows).into_iter().enumerate() {
        if dropped.contains(&place) { lines.push(row.line) } else { kept.push(row) }
    }
    dataset.rows = kept;
    lines
}

impl Finding {
    /// A finding about the rows at `places`, each with its note; `None` where there are none.
    fn of(
        kind: FindingKind,
        fix: Fix,
        dataset: &Dataset,
        places: &[(usize, String)],
        sentence: impl FnOnce(usize) -> String,
    ) -> Option<Finding> {
        let found = |(place, note): &(usize, String)| {
            let row = &dataset.rows[*place];
            FoundRow {
                line: row.line,
                note: note.clone(),
                excerpt: text::excerpt(&text::of_row(&row.content), 0),
            }
        };
        (!places.is_empty()).then(|| Finding {
            kind,
            sentence: sentence(places.len()),
            count: places.len(),
            rows: places.iter().take(LISTED_ROWS).map(found).collect(),
            fix: Some(fix),
        })
    }
}

/// "1 row is", "3 rows are".
fn rows_are(count: usize) -> String {
    if count == 1 { "1 row is".into() } else { format!("{count} rows are") }
}
