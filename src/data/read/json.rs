//! JSON lines, and JSON files that hold a list of rows.

use super::broken_json::broken;
use super::orientation;
use super::plain::COLUMNS;
use super::raw_json::{Entries, LineIndex, offset_in};
use super::records::{Record, Records, invalid, invalid_line};
use crate::data::listing::{lines as listed, list_some};
use crate::error::Result;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One value a line.
    Lines,
    /// One value in the file.
    Whole,
}

/// Keys under which a JSON object may hold its rows, best first.
const CONTAINERS: [&str; 7] = ["train", "data", "rows", "examples", "instances", "items", "samples"];

pub(super) fn read(file: &str, text: &str, layout: Layout) -> Result<Records> {
    let mut notes = Vec::new();
    let (text, not_numbers) = without_not_a_number(text);
    if !not_numbers.is_empty() {
        notes.push(format!(
            "NaN and Infinity, which JSON does not have, are read as nothing (null) ({})",
            listed(&not_numbers)
        ));
    }
    let text = text.as_ref();
    let records = match (layout, text.trim_start().as_bytes().first()) {
        (Layout::Lines, Some(b'[')) => match list(file, text, text) {
            Ok(records) => records,
            // It may be a line each, of which the first is wrongly a list; or one list with a mistake in it.
            Err(_) if first_line_is_json(text) => lines(file, text)?,
            Err(error) => return Err(error),
        },
        (Layout::Lines, _) => match only_object(text) {
            Some(entries) => object(file, text, entries, &mut notes)?,
            None => lines(file, text)?,
        },
        (Layout::Whole, Some(b'[')) => list(file, text, text)?,
        (Layout::Whole, Some(b'{')) => match serde_json::from_str::<Entries>(text) {
            Ok(entries) => object(file, text, entries, &mut notes)?,
            // Many `.json` files are JSON lines under another name.
            Err(e) if is_trailing(&e) => lines(file, text)?,
            Err(e) => return Err(broken(file, text, 1, &e)),
        },
        (Layout::Whole, Some(b'"')) if serde_json::from_str::<String>(text).is_ok() => {
            return Err(invalid(file, ENCODED_TWICE));
        }
        (Layout::Whole, _) => {
            return Err(invalid(file, "is not JSON; a .json file begins with [ or {"));
        }
    };
    let mut seen = HashSet::new();
    let mut columns: Vec<String> = Vec::new();
    for key in records.iter().flat_map(|r| r.fields.keys()) {
        if seen.insert(key.as_str()) {
            columns.push(key.clone());
        }
    }
    Ok(Records { records, columns, notes })
}

const ENCODED_TWICE: &str =
    "holds JSON inside of a JSON string, as when it is encoded twice; write it with json.dumps once";

fn lines(file: &str, text: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(value) => records.push(record(file, index + 1, value)?),
            // Objects may be spread over lines, or several be on one.
            Err(e) if e.is_eof() || is_trailing(&e) => {
                return stream(file, text).unwrap_or_else(|| Err(broken(file, line, index + 1, &e)));
            }
            Err(e) => return Err(broken(file, line, index + 1, &e)),
        }
    }
    Ok(records)
}

/// Objects one after the other, wherever lines end; `None` where the text is something else.
fn stream(file: &str, text: &str) -> Option<Result<Vec<Record>>> {
    let at = LineIndex::new(text);
    let mut records = Vec::new();
    for raw in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let raw = raw.ok().filter(|raw| raw.get().starts_with('{'))?;
        let line = at.line(offset_in(text, raw.get()));
        let row = match serde_json::from_str(raw.get()) {
            Ok(value) => record(file, line, value),
            Err(e) => Err(broken(file, raw.get(), line, &e)),
        };
        match row {
            Ok(row) => records.push(row),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(records))
}

/// `json` is a list of rows that lies within `text`, the whole file.
fn list(file: &str, text: &str, json: &str) -> Result<Vec<Record>> {
    let at = LineIndex::new(text);
    let first = at.line(offset_in(text, json));
    let rows: Vec<&RawValue> = serde_json::from_str(json).map_err(|e| broken(file, json, first, &e))?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let line = at.line(offset_in(text, row.get()));
        let value = serde_json::from_str(row.get()).map_err(|e| broken(file, row.get(), line, &e))?;
        records.push(record(file, line, value)?);
    }
    Ok(records)
}

/// An object that holds the rows under a key, or is a table column by column, or is the only row.
fn object(file: &str, text: &str, entries: Entries, notes: &mut Vec<String>) -> Result<Vec<Record>> {
    if let Some((records, note)) = orientation::table(file, text, &entries.0)? {
        notes.push(note);
        return Ok(records);
    }
    let is_column = |key: &str| COLUMNS.iter().any(|column| key.eq_ignore_ascii_case(column));
    let is_list = |raw: &RawValue| raw.get().starts_with('[');
    let usual =
        CONTAINERS.iter().find_map(|name| entries.0.iter().find(|(key, raw)| key == name && is_list(raw)));
    // A row may hold lists itself, such as its tools.
    let is_row = entries.0.iter().any(|(key, _)| is_column(key));
    let rows = || {
        let mut lists = entries.0.iter().filter(|(_, raw)| !is_row && orientation::holds_rows(raw));
        lists.next().filter(|_| lists.next().is_none())
    };
    if let Some((key, raw)) = usual.or_else(rows) {
        let others = entries.0.iter().filter(|(other, _)| other != key);
        let others: Vec<String> = others.map(|(other, _)| format!("\"{other}\"")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        notes.push(match others.is_empty() {
            true => format!("rows are read from \"{key}\""),
            false => format!("rows are read from \"{key}\"; {} is left out", list_some(&others)),
        });
        return list(file, text, raw.get());
    }
    let first = LineIndex::new(text).line(text.len() - text.trim_start().len());
    let value = serde_json::from_str(text).map_err(|e| broken(file, text, 1, &e))?;
    Ok(vec![record(file, first, value)?])
}

fn record(file: &str, line: usize, value: Value) -> Result<Record> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::String(text) if serde_json::from_str::<Entries>(&text).is_ok() => {
            return Err(invalid_line(file, line, ENCODED_TWICE));
        }
        Value::String(text) => Map::from_iter([("text".to_string(), Value::String(text))]),
        Value::Null => Map::new(),
        Value::Array(items) if items.iter().all(Value::is_object) => {
            return Err(invalid_line(
                file,
                line,
                "holds a list where an object is expected; write a conversation as {\"messages\": […]}",
            ));
        }
        Value::Array(_) => {
            return Err(invalid_line(
                file,
                line,
                "holds a list of values without column names; write each row as an object, with pandas by \
                 df.to_json(file, orient=\"records\")",
            ));
        }
        other => {
            return Err(invalid_line(
                file,
                line,
                format!("holds {other} where an object with named columns is expected"),
            ));
        }
    };
    Ok(Record { line, fields })
}

/// The entries of the only object of a file; many rows, a line each, are not one.
fn only_object(text: &str) -> Option<Entries<'_>> {
    let is_one = text.trim_start().starts_with('{');
    is_one.then(|| serde_json::from_str(text).ok()).flatten()
}

fn first_line_is_json(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok()
}

/// Writes `null` for `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes where a number is missing. Returns their lines.
fn without_not_a_number(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    const NOT_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !text.contains("NaN") && !text.contains("Infinity") {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut out = String::with_capacity(text.len());
    let (mut found, mut line, mut in_string, mut escaped, mut kept) = (Vec::new(), 1, false, false, 0);
    let mut skip_to = 0;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if place < skip_to => {}
            // A string ends with its line at the latest, so that a broken row spoils no other.
            b'\n' => (line, in_string, escaped) = (line + 1, false, false),
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'-' | b'I' | b'N' if !in_string => {
                let word = NOT_NUMBERS.iter().find(|word| text[place..].starts_with(**word));
                let ends = |word: &str| {
                    let next = text.as_bytes().get(place + word.len());
                    next.is_none_or(|next| !next.is_ascii_alphanumeric())
                };
                if let Some(word) = word.filter(|word| ends(word)) {
                    out.push_str(&text[kept..place]);
                    out.push_str("null");
                    (kept, skip_to) = (place + word.len(), place + word.len());
                    if found.last() != Some(&line) {
                        found.push(line);
                    }
                }
            }
            _ => {}
        }
    }
    out.push_str(&text[kept..]);
    (Cow::Owned(out), found)
}

fn is_trailing(error: &serde_json::Error) -> bool {
    error.is_syntax() && error.to_string().starts_with("trailing characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &str, layout: Layout) -> Vec<usize> {
        read("f", text, layout).unwrap().records.iter().map(|r| r.line).collect()
    }

    #[test]
    fn rows_know_their_lines() {
        assert_eq!(lines_of("{\"text\":1}\r\n\r\n{\"text\":2}\n", Layout::Lines), [1, 3]);
        assert_eq!(lines_of("[\n {\"text\":1},\n {\n\"text\":2}, \"c\"]", Layout::Whole), [2, 3, 4]);
        assert_eq!(lines_of("{\"v\": 1,\n\"data\": [\n{\"text\":1}]}", Layout::Whole), [3]);
        assert_eq!(lines_of("{\"text\":1}\n{\"text\":2}", Layout::Whole), [1, 2]);
        assert_eq!(lines_of("[\n{\"text\":1}]", Layout::Lines), [2]);
        assert_eq!(lines_of("\n{\"text\":1}", Layout::Whole), [2]);
    }

    #[test]
    fn objects_may_be_spread_over_lines_or_share_one() {
        let spread = "{\n \"text\": 1\n}\n{\n \"text\": 2\n}\n";
        assert_eq!(lines_of(spread, Layout::Lines), [1, 4]);
        assert_eq!(lines_of(spread, Layout::Whole), [1, 4]);
        assert_eq!(lines_of("{\"text\":1}{\"text\":2}\n{\"text\":3}", Layout::Lines), [1, 1, 2]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let message = |text, layout| read("f", text, layout).err().unwrap().to_string();
        let said = message("{\"text\":1}\n{\"text\": \"a\n{\"text\":3}", Layout::Lines);
        assert!(said.starts_with("f, line 2: is not valid JSON at column 11 (EOF"), "{said}");
        let said = message("[\n{\"text\":1},\n{\"text\" 2}]", Layout::Whole);
        assert!(said.starts_with("f, line 3: is not valid JSON at column 9 (expected"), "{said}");
        let said = message("[[1]]", Layout::Whole);
        assert!(said.contains("line 1: holds a list of values without column names"), "{said}");
        let said = message("[[{\"role\": \"user\"}]]", Layout::Whole);
        assert!(said.contains("line 1: holds a list where an object is expected"), "{said}");
    }

    #[test]
    fn the_train_split_is_preferred() {
        let records =
            read("f", r#"{"test": [{"text": "b"}], "train": [{"text": "a"}]}"#, Layout::Whole).unwrap();
        assert_eq!(records.records[0].fields["text"], "a");
        assert_eq!(records.notes, ["rows are read from \"train\"; \"test\" is left out"]);
    }

    #[test]
    fn nan_is_nothing_and_only_outside_of_strings() {
        let text =
            "{\"text\": \"NaN \\\" Infinity\", \"a\": 1}\n{\"text\": NaN, \"a\": [-Infinity, Infinity]}\n";
        let records = read("f", text, Layout::Lines).unwrap();
        assert_eq!(records.records[0].fields["text"], "NaN \" Infinity");
        assert_eq!(records.records[1].fields["text"], Value::Null);
        assert!(records.notes[0].contains("(line 2)"), "{:?}", records.notes);
        assert_eq!(
            read("f", "{\"a\": NaNs}", Layout::Lines).err().unwrap().kind(),
            crate::error::ErrorKind::InvalidDataLine
        );
    }
}
