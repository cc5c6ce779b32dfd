//! What is found in a data set, and what was changed in it.

use super::text;
use crate::data::types::Dataset;
use crate::recipe::Fix;
use serde::Serialize;

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
pub(super) const LISTED_ROWS: usize = 20;

impl Finding {
    /// A finding about the rows at `places`, each with its note; `None` where there are none.
    pub(super) fn of(
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
pub(super) fn rows_are(count: usize) -> String {
    if count == 1 { "1 row is".into() } else { format!("{count} rows are") }
}
