//! Comma- and tab-separated tables with a header line.

use super::{Record, Records, invalid, invalid_line};
use crate::error::Result;
use serde_json::{Map, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Csv,
    Tsv,
}

pub(super) fn read(file: &str, text: &str, kind: Kind) -> Result<Records> {
    let mut notes = Vec::new();
    let delimiter = delimiter(text, kind);
    if kind == Kind::Csv && delimiter != b',' {
        let name = if delimiter == b';' { "semicolons" } else { "tabs" };
        notes.push(format!("columns are separated by {name}"));
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| error(file, &e))?.clone();
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    if let Some(twice) = columns.iter().enumerate().find(|(i, c)| !c.is_empty() && columns[..*i].contains(c))
    {
        return Err(invalid(file, format!("has two columns named \"{}\"; rename one of them", twice.1)));
    }
    let mut records = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| error(file, &e))? {
        let line = record.position().map_or(0, |p| starting_line(text, p));
        let fields = columns
            .iter()
            .zip(record.iter())
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name.clone(), Value::String(value.to_string())));
        records.push(Record { line, fields: Map::from_iter(fields) });
    }
    if records.is_empty() {
        return Err(invalid(file, "has a header line and no rows; it needs at least one example"));
    }
    Ok(Records { records, columns: columns.into_iter().filter(|c| !c.is_empty()).collect(), notes })
}

/// A `.csv` may be separated by semicolons or tabs, as spreadsheets write it in some countries.
fn delimiter(text: &str, kind: Kind) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    match kind {
        Kind::Tsv => b'\t',
        Kind::Csv if header.contains(',') => b',',
        Kind::Csv if header.contains(';') => b';',
        Kind::Csv if header.contains('\t') => b'\t',
        Kind::Csv => b',',
    }
}

/// The reader's position may lie before blank lines that it skips; a row starts after them.
fn starting_line(text: &str, position: &csv::Position) -> usize {
    let rest = &text.as_bytes()[position.byte() as usize..];
    let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).filter(|&&b| b == b'\n');
    position.line() as usize + blank.count()
}

fn error(file: &str, error: &csv::Error) -> crate::error::Error {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => invalid_line(
            file,
            pos.as_ref().map_or(0, |p| p.line() as usize),
            format!(
                "has {len} fields where the header has {expected_len}; look for a missing separator or an unclosed quote"
            ),
        ),
        _ => invalid(file, format!("cannot be read as a table ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_their_lines() {
        let text = "prompt,completion\r\n\"a\r\nb\",c\r\n\r\n\r\nd,e\r\n";
        let lines: Vec<usize> =
            read("f.csv", text, Kind::Csv).unwrap().records.iter().map(|r| r.line).collect();
        assert_eq!(lines, [2, 6]);
    }

    #[test]
    fn semicolons_are_found() {
        let records = read("f.csv", "prompt;completion\na,b;c\n", Kind::Csv).unwrap();
        assert_eq!(records.records[0].fields["prompt"], "a,b");
    }

    #[test]
    fn an_unclosed_quote_names_its_line() {
        let text = "prompt,completion\na,b\n\"c,d\ne,f\n";
        let message = read("f.csv", text, Kind::Csv).err().unwrap().to_string();
        assert!(message.starts_with("f.csv, line 3: has 1 fields where the header has 2"), "{message}");
    }
}
