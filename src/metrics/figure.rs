//! Numbers as people are shown them: with a name, and which way is better.

use serde::Serialize;

/// A number that metrics `T` hold.
pub struct Figure<T> {
    pub label: Label,
    pub value: fn(&T) -> Option<f64>,
}

/// How a number is shown, and where it lies in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Label {
    /// As it stands within a sentence.
    pub name: &'static str,
    pub better: Better,
    pub unit: Unit,
    pub rank: Rank,
    /// Dotted keys of a step's report; `None` where a step has no such number.
    pub step: Option<&'static str>,
    /// Dotted keys of an evaluation.
    pub evaluation: Option<&'static str>,
}

/// Which way a number is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Better {
    Higher,
    Lower,
    /// It only tells what the others mean.
    Neither,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Unit {
    Number,
    /// From 0 to 1, as people are shown it in percent.
    Share,
}

/// How much room there must be for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// It is what the objective is about, and is drawn in place of a loss that says nothing.
    Loss,
    /// The one beside the loss.
    First,
    /// One of a few.
    Summary,
    /// One of all.
    Detail,
}

/// A number with what there is to know of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub name: &'static str,
    pub value: f64,
    pub better: Better,
    pub unit: Unit,
    pub rank: Rank,
}

/// What metrics hold, row by row.
pub(super) fn rows<T>(figures: &[Figure<T>], metrics: &T) -> Vec<Row> {
    let row = |Figure { label, value }: &Figure<T>| {
        let Label { name, better, unit, rank, .. } = *label;
        Some(Row { name, value: value(metrics)?, better, unit, rank })
    };
    figures.iter().filter_map(row).collect()
}
