//! What a user is told of a data set, a sentence at a time.

use serde::Serialize;

/// One sentence, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Statement {
    pub about: Subject,
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Subject {
    /// How the file was read and its rows written, what of it is not used, and which rows are left out and why.
    Reading,
    /// Settings that change nothing.
    Settings,
    /// Rows that are cut.
    Cut,
    /// Rows that say what another says.
    Duplicates,
    /// That no row is held out.
    HeldOut,
    /// One of the report's findings.
    Finding,
    /// One of the report's changes.
    Change,
}
