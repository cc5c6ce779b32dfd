//! From named values to rows of one shape: detection by column names, or by an explicit mapping.

use super::classes;
use super::contrast;
use super::dataset::{ColumnMapping, DataShape, Dataset, Message, Row, RowContent};
use super::formats::{Record, Records, invalid, invalid_line};
use super::mapping::{mapped_column, mapping_shape};
use super::messages::{chat, is_blank, messages, prompt_completion, text};
use super::preference;
use super::task;
use crate::error::Result;
use serde_json::{Map, Value};

pub(super) fn to_dataset(file: &str, records: Records, mapping: Option<&ColumnMapping>) -> Result<Dataset> {
    let mapped_shape = mapping.map(|m| mapping_shape(m, &records.columns)).transpose()?;
    let parts = Parts { mapping, mapped_shape };
    let shape = one_shape(file, &records, &parts)?;
    let mut rows = Vec::with_capacity(records.records.len());
    for Record { line, fields } in &records.records {
        let content = match parts.shape_of(fields) {
            Some(_) => parts.read(shape, fields).map_err(|reason| invalid_line(file, *line, reason))?,
            None => RowContent::Text(String::new()),
        };
        rows.push(Row { line: *line, content });
    }
    let mut notes = records.notes;
    let unused: Vec<&str> =
        records.columns.iter().map(String::as_str).filter(|c| !parts.uses(shape, c)).collect();
    if !unused.is_empty() {
        notes.push(format!("columns that are not used: {}", list_some(&unused)));
    }
    Ok(Dataset { file: file.into(), shape, columns: records.columns, rows, notes })
}

/// The shape that every row with anything in it has.
fn one_shape(file: &str, records: &Records, parts: &Parts) -> Result<DataShape> {
    let mut found: Vec<(DataShape, Vec<usize>)> = Vec::new();
    let mut unknown: Vec<&Record> = Vec::new();
    for record in &records.records {
        match parts.shape_of(&record.fields) {
            Some(shape) => match found.iter_mut().find(|(s, _)| *s == shape) {
                Some((_, lines)) => lines.push(record.line),
                None => found.push((shape, vec![record.line])),
            },
            None if record.fields.values().all(is_blank) => {}
            None => unknown.push(record),
        }
    }
    // A prompt alone is a row of its own kind only where all rows are; among others its answer is missing.
    if found.len() > 1
        && let Some(place) = found.iter().position(|(shape, _)| *shape == DataShape::Prompts)
    {
        let (_, lines) = found.remove(place);
        unknown.extend(records.records.iter().filter(|record| lines.binary_search(&record.line).is_ok()));
        unknown.sort_by_key(|record| record.line);
    }
    match (found.as_slice(), unknown.first()) {
        ([], None) => Err(invalid(file, "has only empty rows; it needs at least one example")),
        ([], Some(_)) => Err(invalid(file, unknown_columns(&records.columns))),
        ([(shape, _)], None) => Ok(*shape),
        ([(shape, lines)], Some(record)) => {
            let names: Vec<&str> = record.fields.keys().map(String::as_str).collect();
            let reason = format!(
                "has the columns {}, but the file's other rows are {} ({}, first on line {}); complete or remove this row",
                list_some(&names),
                shape.label(),
                shape.columns(),
                lines[0],
            );
            Err(invalid_line(file, record.line, reason))
        }
        ([(first, lines), (second, others)], _)
            if [*first, *second].contains(&DataShape::Classification)
                && [*first, *second].contains(&DataShape::Text) =>
        {
            let (labelled, without) =
                if *first == DataShape::Text { (others, lines) } else { (lines, others) };
            let reason = format!(
                "has no label, but other rows do (the first on line {}); add the label or remove this row",
                labelled[0]
            );
            Err(invalid_line(file, without[0], reason))
        }
        (several, _) => {
            let each: Vec<String> = several
                .iter()
                .map(|(shape, lines)| format!("{} on {}", shape.label(), list_lines(lines)))
                .collect();
            Err(invalid(file, format!("mixes shapes: {}; give each shape its own file", each.join("; "))))
        }
    }
}

/// OpenAI's names in its preference format, and those that data sets for sentence-transformers and for GRPO have beside the
/// usual ones.
const OTHER_NAMES: [(&str, &str); 13] = [
    ("chosen", "preferred_output"),
    ("rejected", "non_preferred_output"),
    ("anchor", "query"),
    ("positive", "passage"),
    ("positive", "document"),
    ("sentence1", "sentence_a"),
    ("sentence2", "sentence_b"),
    ("score", "similarity_score"),
    ("score", "similarity"),
    ("score", "label"),
    ("negative", "hard_negative"),
    ("answer", "solution"),
    ("answer", "ground_truth"),
];

/// Finds the columns that make a row, by their usual names or by the user's mapping.
struct Parts<'a> {
    mapping: Option<&'a ColumnMapping>,
    mapped_shape: Option<DataShape>,
}

impl Parts<'_> {
    fn shape_of(&self, fields: &Map<String, Value>) -> Option<DataShape> {
        let has = |part: &str| self.find(fields, part).is_some();
        if let Some(shape) = self.mapped_shape {
            return Self::needed(shape).iter().all(|part| has(part)).then_some(shape);
        }
        // Richer shapes first: preference files often carry "messages" too, chat files a "prompt",
        // Alpaca files a "text". A label that is neither true nor false is some other column.
        let is_rated = |shape| {
            shape != DataShape::UnpairedPreference
                || self.find(fields, "label").is_some_and(|label| preference::verdict(label).is_some())
        };
        let order = [
            DataShape::Preference,
            DataShape::Messages,
            DataShape::ShareGpt,
            DataShape::UnpairedPreference,
            DataShape::PromptCompletion,
            DataShape::Alpaca,
            DataShape::TextPairs,
            DataShape::ScoredPairs,
            DataShape::Classification,
            DataShape::Text,
            DataShape::Prompts,
        ];
        order.into_iter().find(|shape| Self::needed(*shape).iter().all(|part| has(part)) && is_rated(*shape))
    }

    fn needed(shape: DataShape) -> &'static [&'static str] {
        match shape {
            DataShape::Text => &["text"],
            DataShape::PromptCompletion => &["prompt", "completion"],
            DataShape::Messages => &["messages"],
            DataShape::ShareGpt => &["conversations"],
            DataShape::Alpaca => &["instruction", "output"],
            DataShape::Preference => &["chosen", "rejected"],
            DataShape::UnpairedPreference => &["prompt", "completion", "label"],
            DataShape::Classification => &["text", "label"],
            DataShape::TextPairs => &["anchor", "positive"],
            DataShape::ScoredPairs => &["sentence1", "sentence2", "score"],
            DataShape::Prompts => &["prompt"],
        }
    }

    fn uses(&self, shape: DataShape, column: &str) -> bool {
        let optional: &[&str] = match shape {
            DataShape::Text | DataShape::Classification | DataShape::ScoredPairs => &[],
            DataShape::TextPairs => &["negative"],
            DataShape::Prompts => &["answer", "system"],
            DataShape::Alpaca => &["input", "system"],
            DataShape::Preference => &["prompt", "input", "system"],
            _ => &["system"],
        };
        Self::needed(shape).iter().chain(optional).any(|part| self.is(column, part))
    }

    fn is(&self, column: &str, part: &str) -> bool {
        match self.mapping {
            Some(mapping) => mapped_column(mapping, part) == Some(column),
            None => {
                let is = |name: &str| column.trim().eq_ignore_ascii_case(name);
                is(part) || OTHER_NAMES.iter().any(|(usual, other)| *usual == part && is(other))
            }
        }
    }

    fn find<'v>(&self, fields: &'v Map<String, Value>, part: &str) -> Option<&'v Value> {
        fields.iter().find(|(column, _)| self.is(column, part)).map(|(_, value)| value)
    }

    /// The row's content, or what is wrong with it.
    fn read(&self, shape: DataShape, fields: &Map<String, Value>) -> Result<RowContent, String> {
        let value = |part: &str| self.find(fields, part).unwrap_or(&Value::Null);
        let system = text(value("system"), "system")?;
        let system = (!system.trim().is_empty()).then_some(system);
        match shape {
            DataShape::Text => Ok(RowContent::Text(text(value("text"), "text")?)),
            DataShape::Classification => classes::labelled(value("text"), value("label")),
            DataShape::TextPairs => contrast::pair(value("anchor"), value("positive"), value("negative")),
            DataShape::ScoredPairs => {
                contrast::scored(value("sentence1"), value("sentence2"), value("score"))
            }
            DataShape::Prompts => task::task(system, value("prompt"), value("answer")),
            DataShape::Messages => chat(system, Vec::new(), messages(value("messages"), "messages")?),
            DataShape::ShareGpt => {
                chat(system, Vec::new(), messages(value("conversations"), "conversations")?)
            }
            DataShape::PromptCompletion => {
                prompt_completion(system, ("prompt", value("prompt")), ("completion", value("completion")))
            }
            DataShape::Preference => {
                // OpenAI writes the prompt as {"input": {"messages": […]}}.
                let input = value("input");
                let prompt = self.find(fields, "prompt").unwrap_or(input.get("messages").unwrap_or(input));
                preference::pair(system, prompt, value("chosen"), value("rejected"))
            }
            DataShape::UnpairedPreference => {
                preference::unpaired(system, value("prompt"), value("completion"), value("label"))
            }
            DataShape::Alpaca => {
                let mut prompt = text(value("instruction"), "instruction")?;
                let input = text(value("input"), "input")?;
                if !input.trim().is_empty() {
                    prompt = format!("{prompt}\n\n{input}");
                }
                let output = text(value("output"), "output")?;
                chat(system, vec![Message::new("user", prompt)], vec![Message::new("assistant", output)])
            }
        }
    }
}

fn unknown_columns(columns: &[String]) -> String {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let known: Vec<String> =
        DataShape::ALL.iter().map(|shape| format!("{} ({})", shape.columns(), shape.label())).collect();
    format!(
        "has the columns {}, which are no known shape; known are {}; rename the columns or name them in data.mapping",
        if names.is_empty() { "none".into() } else { list_some(&names) },
        known.join(", ")
    )
}

pub(super) fn list_some(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|n| shorten(n)).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A file without a header has whole sentences for column names.
fn shorten(name: &str) -> String {
    const LONGEST: usize = 40;
    match name.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &name[..cut]),
        None => name.to_string(),
    }
}

fn list_lines(lines: &[usize]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = lines.iter().take(SHOWN).map(usize::to_string).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    match lines.len().saturating_sub(SHOWN) {
        0 => format!("{word} {}", shown.join(", ")),
        more => format!("{word} {} and {more} more", shown.join(", ")),
    }
}
