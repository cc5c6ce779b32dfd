//! The classes of labelled texts: read from a column, and counted.

use super::values::{is_blank, kind, text};
use crate::data::types::{Dataset, RowContent};
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A class, and how many rows are of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ClassCount {
    pub label: String,
    pub rows: usize,
}

/// The classes of the rows that have a text: whole numbers by value, anything else by alphabet, so that
/// the order does not depend on the order of the rows. None where rows have no labels.
pub fn class_counts(dataset: &Dataset) -> Vec<ClassCount> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in dataset.rows.iter().filter(|row| !row.content.is_blank()) {
        if let RowContent::Labelled { label, .. } = &row.content {
            *counts.entry(label).or_default() += 1;
        }
    }
    let mut counts: Vec<ClassCount> =
        counts.into_iter().map(|(label, rows)| ClassCount { label: label.into(), rows }).collect();
    let number = |count: &ClassCount| count.label.parse::<i64>();
    if counts.iter().all(|count| number(count).is_ok()) {
        counts.sort_by_key(|count| number(count).unwrap_or(0));
    }
    counts
}

/// The classes to tell apart.
///
/// # Errors
/// Fewer than two.
pub fn classes(dataset: &Dataset) -> Result<Vec<String>> {
    let labels: Vec<String> = class_counts(dataset).into_iter().map(|count| count.label).collect();
    if labels.len() >= 2 {
        return Ok(labels);
    }
    let found = labels.first().map_or("no label".into(), |label| format!("only the label \"{label}\""));
    Err(Error::InvalidData {
        file: dataset.file.clone(),
        reason: format!(
            "has {found}, so there is nothing to tell apart; add rows of at least one other class"
        ),
    })
}

/// A labelled text from its two columns; an empty row where both are blank.
pub(super) fn labelled(row_text: &Value, label: &Value) -> Result<RowContent, String> {
    if is_blank(row_text) && is_blank(label) {
        return Ok(RowContent::Text(String::new()));
    }
    Ok(RowContent::Labelled { text: text(row_text, "text")?, label: class(label)? })
}

fn class(label: &Value) -> Result<String, String> {
    const WANTED: &str = "where a class is expected, a word or a whole number; write it as a word, or name the text column \
                          alone in data.mapping to train on the texts without labels";
    match label {
        value if is_blank(value) => {
            Err("has an empty label; write the text's class or remove this row".into())
        }
        Value::Bool(_) => Ok(label.to_string()),
        Value::Number(number) if number.is_f64() => Err(format!("\"label\" holds {number} {WANTED}")),
        Value::Number(number) => Ok(number.to_string()),
        // A table's cells are all text.
        Value::String(text) if is_fraction(text.trim()) => {
            Err(format!("\"label\" holds {} {WANTED}", text.trim()))
        }
        Value::String(text) => Ok(text.trim().into()),
        other => Err(format!("\"label\" holds {} {WANTED}", kind(other))),
    }
}

fn is_fraction(text: &str) -> bool {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    is_number && text.parse::<i64>().is_err() && text.parse::<f64>().is_ok()
}
