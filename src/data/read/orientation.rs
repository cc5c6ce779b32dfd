//! Tables in JSON that are not written row by row, as pandas' `to_json` and `to_dict` write them unless they are told
//! `orient="records"` (<https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html>).
//!
//! | orientation | how it looks |
//! | --- | --- |
//! | columns | `{"prompt": {"0": "…", "1": "…"}, "completion": {"0": "…", "1": "…"}}` |
//! | index | `{"0": {"prompt": "…", "completion": "…"}, "1": {…}}` |
//! | split | `{"columns": ["prompt", "completion"], "index": [0, 1], "data": [["…", "…"], …]}` |
//! | `to_dict("list")` | `{"prompt": ["…", "…"], "completion": ["…", "…"]}` |

use super::broken_json::broken;
use super::raw_json::{Entries, LineIndex, offset_in};
use super::records::{Record, invalid, invalid_line};
use super::table::check_names;
use crate::data::listing::list_some;
use crate::error::Result;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The rows of a table, and how it was read; `None` where the object is no table.
///
/// # Errors
/// Columns of several lengths; objects of which it cannot be told whether they are rows or columns.
pub(super) fn table(
    file: &str,
    text: &str,
    entries: &[(String, &RawValue)],
) -> Result<Option<(Vec<Record>, String)>> {
    let table = Table { file, text, at: LineIndex::new(text) };
    let read = |rows: Result<Vec<Record>>, how: &str| {
        Ok(Some((rows?, format!("the file is read as a table {how}, as pandas writes it"))))
    };
    let find = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
    if let (Some(columns), Some(data)) = (find("columns"), find("data"))
        && let (Ok(columns), Ok(data)) = (parse::<Vec<Value>>(columns), parse::<Vec<&RawValue>>(data))
        && data.iter().all(|row| row.get().starts_with('['))
    {
        return read(table.split(&columns, &data), "with its column names apart (orient=\"split\")");
    }
    if entries.is_empty() || entries.iter().any(|(_, raw)| is_message_list(raw) || is_message(raw)) {
        return Ok(None);
    }
    let objects: Option<Vec<Entries>> = entries.iter().map(|(_, raw)| parse(raw).ok()).collect();
    if let Some(objects) = objects {
        let is_number = |key: &String| key.parse::<u64>().is_ok();
        let outer = entries.iter().all(|(key, _)| is_number(key));
        let inner = objects.iter().all(|object| object.0.iter().all(|(key, _)| is_number(key)));
        return match (outer, inner) {
            (true, false) => read(table.by_number(entries, &objects), "of rows by number (orient=\"index\")"),
            (false, true) => read(table.beside(entries, objects), "of columns beside each other"),
            _ if entries.len() == 1 => Ok(None),
            _ => Err(invalid(
                file,
                format!(
                    "holds objects under {}, of which it cannot be told whether they are rows or columns; {RECORDS}",
                    names(entries)
                ),
            )),
        };
    }
    let lists: Option<Vec<Vec<&RawValue>>> = entries.iter().map(|(_, raw)| parse(raw).ok()).collect();
    let Some(lists) = lists else { return Ok(None) };
    let has_rows = lists.iter().flatten().any(|item| item.get().starts_with('{'));
    let is_container =
        entries.iter().any(|(key, _)| key == "train") || (entries.len() == 1 && find("data").is_some());
    // A list alone in a list may as well be a conversation that is nested too deep.
    let is_one = lists.len() == 1 && lists[0].len() < 2;
    if has_rows || is_container || is_one || lists.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    if let Some(place) = lists.iter().position(|list| list.len() != lists[0].len()) {
        return Err(invalid(
            file,
            format!(
                "holds columns beside each other, of which \"{}\" has {} values and \"{}\" {}; {RECORDS}",
                entries[0].0,
                lists[0].len(),
                entries[place].0,
                lists[place].len()
            ),
        ));
    }
    let numbered = |list: Vec<_>| {
        Entries(list.into_iter().enumerate().map(|(place, raw)| (place.to_string(), raw)).collect())
    };
    read(table.beside(entries, lists.into_iter().map(numbered).collect()), "of columns beside each other")
}

const RECORDS: &str = "write the rows as a list, with pandas by df.to_json(file, orient=\"records\")";

/// Whether this is a list of objects that are rows, not turns of a conversation.
pub(super) fn holds_rows(raw: &RawValue) -> bool {
    let rows = parse::<Vec<Entries>>(raw).unwrap_or_default();
    !rows.is_empty() && !is_message_list(raw)
}

struct Table<'a> {
    file: &'a str,
    text: &'a str,
    at: LineIndex,
}

impl Table<'_> {
    fn split(&self, columns: &[Value], data: &[&RawValue]) -> Result<Vec<Record>> {
        let name = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let columns: Vec<String> = columns.iter().map(name).collect();
        check_names(self.file, columns.iter().map(String::as_str))?;
        let row = |raw: &&RawValue| {
            let line = self.line(raw);
            let Value::Array(values) = self.value(raw)? else { unreachable!("each row is a list") };
            if values.len() != columns.len() {
                let (found, wanted) = (values.len(), columns.len());
                let reason =
                    format!("has {found} values where \"columns\" names {wanted}; complete this row");
                return Err(invalid_line(self.file, line, reason));
            }
            Ok(Record { line, fields: columns.iter().cloned().zip(values).collect() })
        };
        data.iter().map(row).collect()
    }

    fn by_number(&self, entries: &[(String, &RawValue)], rows: &[Entries]) -> Result<Vec<Record>> {
        let row = |((_, raw), row): (&(String, &RawValue), &Entries)| {
            let field = |(name, value): &(String, &RawValue)| Ok((name.clone(), self.value(value)?));
            Ok(Record { line: self.line(raw), fields: row.0.iter().map(field).collect::<Result<_>>()? })
        };
        entries.iter().zip(rows).map(row).collect()
    }

    /// One row for each key of the columns, in the order first seen.
    fn beside(&self, entries: &[(String, &RawValue)], columns: Vec<Entries>) -> Result<Vec<Record>> {
        check_names(self.file, entries.iter().map(|(name, _)| name.as_str()))?;
        let mut places = HashMap::new();
        let mut rows: Vec<Record> = Vec::new();
        for ((name, _), column) in entries.iter().zip(columns) {
            for (key, raw) in column.0 {
                let place = *places.entry(key).or_insert_with(|| {
                    rows.push(Record { line: self.line(raw), fields: Map::new() });
                    rows.len() - 1
                });
                rows[place].fields.insert(name.clone(), self.value(raw)?);
            }
        }
        Ok(rows)
    }

    fn line(&self, raw: &RawValue) -> usize {
        self.at.line(offset_in(self.text, raw.get()))
    }

    /// What is wrong within a value, half a surrogate pair say, is only found when it is read.
    fn value(&self, raw: &RawValue) -> Result<Value> {
        parse(raw).map_err(|e| broken(self.file, raw.get(), self.line(raw), &e))
    }
}

fn is_message(raw: &RawValue) -> bool {
    parse::<Entries>(raw).is_ok_and(|object| object.0.iter().any(|(key, _)| key == "role" || key == "from"))
}

fn is_message_list(raw: &RawValue) -> bool {
    parse::<Vec<&RawValue>>(raw)
        .is_ok_and(|list| !list.is_empty() && list.iter().all(|item| is_message(item)))
}

fn names(entries: &[(String, &RawValue)]) -> String {
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    list_some(&names)
}

fn parse<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}
