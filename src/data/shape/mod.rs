//! From named values to rows of one shape: detection by column names, or by an explicit mapping.

pub(super) mod classes;
mod columns;
pub(super) mod contrast;
mod mapping;
mod messages;
mod parts;
mod preference;
mod rating;
mod task;
mod tools;
pub(super) mod turn;
mod unused;
mod values;

use crate::data::listing::{lines as list, list_some};
use crate::data::read::{self, DataFile, Record, Records, invalid, invalid_line};
use crate::data::types::{DataShape, Dataset, Row, RowContent};
use crate::error::Result;
use crate::recipe::{ColumnMapping, Objective};
use columns::{looks_like_answer, suggestion};
use mapping::mapping_shape;
use parts::{Parts, has_usual_columns};
use rating::Found;
use serde_json::Value;
use std::sync::Arc;
use unused::say_unused;
use values::is_blank;

/// Reads every row of `file`. The shape is detected from the columns unless `mapping` names them.
///
/// # Errors
/// One sentence, with the line where there is one: what reading the file says; columns of no known shape, rows of
/// several shapes, messages nested or named wrongly.
pub fn read_dataset(file: DataFile, mapping: Option<&ColumnMapping>) -> Result<Dataset> {
    to_dataset(file.name, read::read(file)?, mapping)
}

fn to_dataset(file: &str, records: Records, mapping: Option<&ColumnMapping>) -> Result<Dataset> {
    let mut notes = records.notes.clone();
    let guess = match mapping {
        Some(_) => None,
        None if has_usual_columns(&records) => None,
        None => columns::guess(&records).map_err(|reason| invalid(file, reason))?,
    };
    if let Some(guess) = &guess {
        notes.push(format!("the columns are taken for {}", columns::shown(&guess.mapping)));
    }
    let parts = Parts {
        mapping: mapping.or(guess.as_ref().map(|guess| &guess.mapping)),
        mapped_shape: match mapping {
            Some(mapping) => Some(mapping_shape(mapping, &records.columns)?),
            None => guess.as_ref().map(|guess| guess.shape),
        },
        used: Default::default(),
    };
    let shape = one_shape(file, &records, &parts)?;
    let mut advice = Vec::new();
    let rating = rating_column(&records, shape, mapping, &parts, &mut notes, &mut advice);
    let mut rows = Vec::with_capacity(records.records.len());
    for Record { line, fields } in &records.records {
        let read = || {
            let content = parts.read(shape, fields)?;
            let Some(column) = &rating else { return Ok(content) };
            preference::unpaired(content, column, fields.get(column).unwrap_or(&Value::Null))
        };
        let content = match parts.shape_of(fields) {
            Some(_) => read().map_err(|reason| invalid_line(file, *line, reason))?,
            None => RowContent::Text(String::new()),
        };
        rows.push(Arc::new(Row { line: *line, content }));
    }
    let mut used = parts.used.into_inner();
    used.extend(rating.clone());
    say_unused(&records, shape, &used, &mut notes, &mut advice);
    let shape = if rating.is_some() { DataShape::UnpairedPreference } else { shape };
    Ok(Dataset { file: file.into(), shape, columns: records.columns, rows, notes, advice })
}

/// The column that says which answers are liked, in a file of answers. What is not taken for one is said.
fn rating_column(
    records: &Records,
    shape: DataShape,
    mapping: Option<&ColumnMapping>,
    parts: &Parts,
    notes: &mut Vec<String>,
    advice: &mut Vec<(Objective, String)>,
) -> Option<String> {
    let has_place = |column: &str| Parts::needed(shape).iter().any(|part| parts.is(column, part));
    let found = rating::find(records, shape, has_place);
    if let Some(mapping) = mapping {
        let is_class = shape == DataShape::Classification;
        let mapped = mapping.label.clone().filter(|_| !is_class);
        if let (Found::Rating(column), None) = (&found, &mapped) {
            notes.push(format!(
                "the column \"{column}\" looks like a rating and is not used: all answers are learned alike; name it as label in \
                 data.mapping to use it"
            ));
        }
        return mapped;
    }
    match found {
        Found::Rating(column) => {
            let said = format!(
                "its column \"{column}\" says which answers are liked; to learn all alike, name the others alone in data.mapping"
            );
            advice.extend([Objective::Sft, Objective::Text].map(|objective| (objective, said.clone())));
            Some(column)
        }
        Found::NoRating { column, value } => {
            let said = rating::no_rating(&column, &value);
            notes.push(format!("the {said}, so all answers are learned alike"));
            advice.push((Objective::Kto, format!("its {said}")));
            None
        }
        Found::Nothing => None,
    }
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
                .map(|(shape, lines)| format!("{} on {}", shape.label(), list(lines)))
                .collect();
            Err(invalid(file, format!("mixes shapes: {}; give each shape its own file", each.join("; "))))
        }
    }
}

fn unknown_columns(columns: &[String]) -> String {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let known: Vec<String> =
        DataShape::ALL.iter().map(|shape| format!("{} ({})", shape.columns(), shape.label())).collect();
    let example = match names.as_slice() {
        [] => "{\"text\": \"…\"}".into(),
        [text] => format!("{{\"text\": {}}}", Value::from(*text)),
        [first, others @ ..] => {
            let answer = others.iter().find(|column| looks_like_answer(column)).unwrap_or(&others[0]);
            suggestion(first, answer)
        }
    };
    format!(
        "has the columns {}, which are no known shape; known are {}; rename the columns or name them in data.mapping, such as {example}",
        if names.is_empty() { "none".into() } else { list_some(&names) },
        known.join(", ")
    )
}
