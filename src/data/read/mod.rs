//! Reading a file of examples: which format it is, whether it is text at all, what its rows are.
//!
//! | extension | read as |
//! | --- | --- |
//! | `.jsonl`, `.ndjson` | one JSON object a line |
//! | `.json` | a list of objects, or an object that holds one under `data`, `train`, … |
//! | `.csv`, `.tsv` | a header line, then one row a record |
//! | `.txt`, `.md` | documents, see `plain` |
//! | `.parquet` | one JSON object a line: the worker has made them of the file (`www/src/engine/worker/parquet.ts`) |
//!
//! JSON lines in a `.json` file and a JSON list in a `.jsonl` file are taken for what they are, and so are rows in JSON under a
//! table's or a text's name: what a file is called decides only where its content does not.

mod broken_json;
mod encoding;
mod json;
mod orientation;
mod plain;
mod python_list;
mod quotes;
mod raw_json;
mod records;
mod table;

pub use records::{DataFile, Record, Records, invalid, invalid_line};

use crate::data::listing::lines;
use crate::error::{Error, Result};
use quotes::Kind;
use records::extension;

/// Reads every row of `file`.
///
/// # Errors
/// One sentence, with the line where there is one: not UTF-8 text, a broken line, an unknown
/// extension, or no rows at all.
pub fn read(file: DataFile) -> Result<Records> {
    let (text, decoded) = encoding::decode(file)?;
    if text.trim().is_empty() {
        return Err(invalid(file.name, "is empty; it needs at least one example"));
    }
    let mut records = match extension(file.name).as_str() {
        "jsonl" | "ndjson" => json::read(file.name, &text, json::Layout::Lines)?,
        "parquet" => read_parquet_rows(file.name, &text)?,
        "json" => json::read(file.name, &text, json::Layout::Whole)?,
        "csv" => read_table(file.name, &text, Kind::Csv)?,
        "tsv" => read_table(file.name, &text, Kind::Tsv)?,
        "txt" | "md" | "markdown" => read_text(file.name, &text)?,
        other => {
            let kind =
                if other.is_empty() { "no extension".into() } else { format!("the extension .{other}") };
            return Err(invalid(
                file.name,
                format!("has {kind}; known data files are .jsonl, .json, .csv, .tsv, .parquet, .txt and .md"),
            ));
        }
    };
    records.notes.splice(0..0, decoded);
    read_printed_lists(file.name, &mut records)?;
    if records.records.is_empty() {
        return Err(invalid(file.name, "has no rows; it needs at least one example"));
    }
    Ok(records)
}

/// A table, or rows in JSON under a table's name.
fn read_table(file: &str, text: &str, kind: Kind) -> Result<Records> {
    match plain::content(text) {
        plain::Content::Json if text.trim_start().starts_with(['{', '[']) => read_json(file, text),
        _ => table::read(file, text, kind),
    }
}

/// Documents, or rows under a text's name.
fn read_text(file: &str, text: &str) -> Result<Records> {
    match plain::content(text) {
        plain::Content::Prose => Ok(plain::read(text)),
        plain::Content::Json => read_json(file, text),
        plain::Content::Table(separator) => read_as_table(file, text, separator),
    }
}

/// The rows that the worker has made of a Parquet file, or what else bears that name.
fn read_parquet_rows(file: &str, text: &str) -> Result<Records> {
    if text.trim_start().starts_with(['{', '[']) {
        return json::read(file, text, json::Layout::Lines);
    }
    match plain::content(text) {
        plain::Content::Table(separator) => read_as_table(file, text, separator),
        _ => Err(invalid(
            file,
            "is not a Parquet file, whatever its name says; give it the extension of what it is, or save it as Parquet again",
        )),
    }
}

fn read_as_table(file: &str, text: &str, separator: u8) -> Result<Records> {
    let kind = if separator == b'\t' { Kind::Tsv } else { Kind::Csv };
    let mut records = table::read(file, text, kind)?;
    records.notes.insert(0, "the file looks like a table, whatever its name, and is read as one".into());
    Ok(records)
}

fn read_json(file: &str, text: &str) -> Result<Records> {
    let layout = match serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        true => json::Layout::Whole,
        false => json::Layout::Lines,
    };
    let mut records = json::read(file, text, layout).map_err(|error| match error {
        Error::InvalidDataLine { file, line, reason } => {
            let reason = format!("looks like rows in JSON, but {reason} (then name the file .jsonl)");
            Error::InvalidDataLine { file, line, reason }
        }
        other => other,
    })?;
    let name = if matches!(layout, json::Layout::Whole) { ".json" } else { ".jsonl" };
    let note = format!(
        "the file looks like rows in JSON, whatever its name, and is read as such (better name it {name})"
    );
    records.notes.insert(0, note);
    Ok(records)
}

/// Reads conversations that Python printed into a cell.
fn read_printed_lists(file: &str, records: &mut Records) -> Result<()> {
    let mut found = Vec::new();
    for record in &mut records.records {
        for (column, value) in &mut record.fields {
            let Some(printed) = value.as_str().filter(|text| python_list::is_printed(text)) else { continue };
            let Some(list) = python_list::parse(printed) else {
                return Err(invalid_line(
                    file,
                    record.line,
                    format!(
                        "\"{column}\" holds a Python list, as print writes it, that cannot be read; write the column with \
                         json.dumps before saving the table"
                    ),
                ));
            };
            *value = list;
            found.push(record.line);
        }
    }
    found.dedup();
    if !found.is_empty() {
        records.notes.push(format!(
            "conversations are written as Python lists, not as JSON (json.dumps), and are read as such ({})",
            lines(&found)
        ));
    }
    Ok(())
}
