//! The classes of labelled texts: read from a column, counted, numbered.

use super::messages::{is_blank, kind, text};
use crate::data::encode::Example;
use crate::data::read::invalid_line;
use crate::data::types::{Dataset, RowContent};
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

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

/// Numbers each example's class by its place in `labels`.
///
/// # Errors
/// A row whose label is not among them.
pub fn number_classes(dataset: &Dataset, examples: &mut [Example], labels: &[String]) -> Result<()> {
    let numbers: HashMap<&str, usize> = labels.iter().map(String::as_str).zip(0..).collect();
    for example in examples {
        let row = &dataset.rows[example.row];
        let RowContent::Labelled { label, .. } = &row.content else { continue };
        let Some(&number) = numbers.get(label.as_str()) else {
            let reason = format!(
                "has the label \"{label}\", which is not one of the model's classes ({}); correct it, remove the row, \
                 or train a head for these classes from a language model",
                labels.join(", ")
            );
            return Err(invalid_line(&dataset.file, row.line, reason));
        };
        example.class = Some(number as u32);
    }
    Ok(())
}

/// A sentence for the classes that only held-out rows have: the model never sees them.
pub fn only_held_out(train: &[Example], validation: &[Example], labels: &[String]) -> Option<String> {
    let of = |examples: &[Example]| -> HashSet<u32> { examples.iter().filter_map(|e| e.class).collect() };
    let (trained, held_out) = (of(train), of(validation));
    let missing: Vec<String> = (0..labels.len())
        .filter(|&class| held_out.contains(&(class as u32)) && !trained.contains(&(class as u32)))
        .map(|class| format!("\"{}\"", labels[class]))
        .collect();
    (!missing.is_empty()).then(|| {
        let (word, verb) = if missing.len() == 1 { ("label", "occurs") } else { ("labels", "occur") };
        format!(
            "the {word} {} {verb} only among the held-out rows and cannot be learned; add rows of it, or change \
             eval.validation_fraction or train.seed",
            missing.join(", ")
        )
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
