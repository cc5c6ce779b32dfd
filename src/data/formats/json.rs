//! JSON lines, and JSON files that hold a list of rows.

use super::{Record, Records, invalid, invalid_line, line_at};
use crate::error::{Error, Result};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
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
    let records = match (layout, text.trim_start().as_bytes().first()) {
        (Layout::Lines, Some(b'[')) => match list(file, text, text) {
            Ok(records) => records,
            Err(_) => lines(file, text)?,
        },
        (Layout::Lines, _) => lines(file, text)?,
        (Layout::Whole, Some(b'[')) => list(file, text, text)?,
        (Layout::Whole, Some(b'{')) => match serde_json::from_str::<Entries>(text) {
            Ok(entries) => object(file, text, entries, &mut notes)?,
            // Many `.json` files are JSON lines under another name.
            Err(e) if is_trailing(&e) => lines(file, text)?,
            Err(e) => return Err(broken(file, e.line(), &e)),
        },
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

/// The entries of an object, unparsed, in the order of the file.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn lines(file: &str, text: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let value = serde_json::from_str(line).map_err(|e| broken(file, index + 1, &e))?;
        records.push(record(file, index + 1, value)?);
    }
    Ok(records)
}

/// `json` is a list of rows that lies within `text`, the whole file.
fn list(file: &str, text: &str, json: &str) -> Result<Vec<Record>> {
    let rows: Vec<&RawValue> = serde_json::from_str(json).map_err(|e| broken(file, e.line(), &e))?;
    let mut records = Vec::with_capacity(rows.len());
    let (mut line, mut counted) = (1, 0);
    for row in rows {
        // Counting on from the last row keeps a long file linear.
        let offset = offset_in(text, row.get());
        line += line_at(&text.as_bytes()[counted..], offset - counted) - 1;
        counted = offset;
        let value = serde_json::from_str(row.get()).map_err(|e| broken(file, line + e.line() - 1, &e))?;
        records.push(record(file, line, value)?);
    }
    Ok(records)
}

fn object(file: &str, text: &str, entries: Entries, notes: &mut Vec<String>) -> Result<Vec<Record>> {
    let is_list = |raw: &RawValue| raw.get().starts_with('[');
    let container =
        CONTAINERS.iter().find_map(|name| entries.0.iter().find(|(key, raw)| key == name && is_list(raw)));
    if let Some((key, raw)) = container {
        let others: Vec<&str> = entries
            .0
            .iter()
            .filter(|(other, raw)| other != key && is_list(raw))
            .map(|(other, _)| other.as_str())
            .collect();
        notes.push(match others.is_empty() {
            true => format!("rows are read from \"{key}\""),
            false => format!("rows are read from \"{key}\"; \"{}\" is left out", others.join("\", \"")),
        });
        return list(file, text, raw.get());
    }
    let value = serde_json::from_str(text).map_err(|e| broken(file, e.line(), &e))?;
    Ok(vec![record(file, line_at(text.as_bytes(), text.len() - text.trim_start().len()), value)?])
}

fn record(file: &str, line: usize, value: Value) -> Result<Record> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::String(text) => Map::from_iter([("text".to_string(), Value::String(text))]),
        Value::Null => Map::new(),
        Value::Array(_) => {
            return Err(invalid_line(
                file,
                line,
                "holds a list where an object is expected; write a conversation as {\"messages\": […]}",
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

/// Where `part`, a slice of `whole`, begins.
fn offset_in(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

fn is_trailing(error: &serde_json::Error) -> bool {
    error.is_syntax() && error.to_string().starts_with("trailing characters")
}

fn broken(file: &str, line: usize, error: &serde_json::Error) -> Error {
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or(&said).to_string();
    invalid_line(
        file,
        line,
        format!("is not valid JSON at column {} ({said}); correct or remove this line", error.column()),
    )
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
    fn a_broken_line_is_named() {
        let message = |text, layout| read("f", text, layout).err().unwrap().to_string();
        let said = message("{\"text\":1}\n{\"text\": \"a\n{\"text\":3}", Layout::Lines);
        assert!(said.starts_with("f, line 2: is not valid JSON at column 11 (EOF"), "{said}");
        let said = message("[\n{\"text\":1},\n{\"text\" 2}]", Layout::Whole);
        assert!(said.starts_with("f, line 3: is not valid JSON at column 9 (expected"), "{said}");
        let said = message("[[1]]", Layout::Whole);
        assert!(said.contains("line 1: holds a list"), "{said}");
    }

    #[test]
    fn the_train_split_is_preferred() {
        let records =
            read("f", r#"{"test": [{"text": "b"}], "train": [{"text": "a"}]}"#, Layout::Whole).unwrap();
        assert_eq!(records.records[0].fields["text"], "a");
        assert_eq!(records.notes, ["rows are read from \"train\"; \"test\" is left out"]);
    }
}
