//! Comma- and tab-separated tables with a header line.

use super::quotes::{self, Kind};
use super::records::{Record, Records, invalid, invalid_line};
use crate::data::listing::lines;
use crate::error::Result;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Each row holds the names of its columns.
const LONGEST_NAME: usize = 1000;

/// A value takes a hundred bytes of memory, however short it is in the file.
const MOST_VALUES: usize = 10_000_000;

pub(super) fn read(file: &str, text: &str, kind: Kind) -> Result<Records> {
    let mut notes = Vec::new();
    // Excel writes the separator before the header where it is not the country's own.
    let (stated, text, lines_before) = match text.split_once('\n') {
        Some((first, rest)) => match stated_delimiter(first.trim_end()) {
            Some(delimiter) => (Some(delimiter), rest, 1),
            None => (None, text, 0),
        },
        None => (None, text, 0),
    };
    let delimiter = stated.unwrap_or_else(|| delimiter(text, kind));
    if delimiter != if kind == Kind::Csv { b',' } else { b'\t' } {
        notes.push(format!("columns are separated by {}", name_of(delimiter)));
    }
    let (quoting, note) = quotes::are_borders(file, text, delimiter, kind)?;
    notes.extend(note);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).quoting(quoting).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| error(file, &e, lines_before))?.clone();
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    check_names(file, columns.iter().map(String::as_str))?;
    let mut seen = HashSet::new();
    if let Some(twice) = columns.iter().find(|name| !name.is_empty() && !seen.insert(name.as_str())) {
        return Err(invalid(file, format!("has two columns named \"{twice}\"; rename one of them")));
    }
    let mut records = Vec::new();
    let mut record = csv::StringRecord::new();
    let mut headers_again = Vec::new();
    let mut without_name = vec![false; columns.len()];
    while reader.read_record(&mut record).map_err(|e| error(file, &e, lines_before))? {
        if records.len() * columns.len() > MOST_VALUES {
            return Err(invalid(
                file,
                format!(
                    "has more than {MOST_VALUES} values in {} columns, too many for the memory of a tab; split the file, or take \
                     out columns that are not needed",
                    columns.len()
                ),
            ));
        }
        let line = lines_before + record.position().map_or(0, |p| starting_line(text, p));
        if record.iter().map(str::trim).eq(columns.iter()) {
            headers_again.push(line);
            continue;
        }
        for ((name, value), found) in columns.iter().zip(record.iter()).zip(&mut without_name) {
            *found |= name.is_empty() && !value.trim().is_empty();
        }
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
    if !headers_again.is_empty() {
        notes.push(format!(
            "the header stands again in the table and is left out there ({})",
            lines(&headers_again)
        ));
    }
    for place in without_name.iter().enumerate().filter(|(_, found)| **found).map(|(place, _)| place) {
        notes.push(format!("column {} has no name in the header and is not used", place + 1));
    }
    Ok(Records { records, columns: columns.into_iter().filter(|c| !c.is_empty()).collect(), notes })
}

/// # Errors
/// A name so long that it is none.
pub(super) fn check_names<'n>(file: &str, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
    match names.into_iter().enumerate().find(|(_, name)| name.len() > LONGEST_NAME) {
        Some((place, name)) => Err(invalid(
            file,
            format!(
                "has a name of {} bytes for column {}; give the columns short names, in a table on its first line",
                name.len(),
                place + 1
            ),
        )),
        None => Ok(()),
    }
}

/// A `.csv` may be separated by semicolons or tabs, as spreadsheets write it in some countries, and a `.tsv` by commas: what the
/// header has, outside of quotes, says so.
fn delimiter(text: &str, kind: Kind) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut is_quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in header.bytes() {
        is_quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte && !is_quoted) {
            *count += 1;
        }
    }
    let usual = if kind == Kind::Csv { b',' } else { b'\t' };
    if kind == Kind::Tsv && counts[2].1 > 0 {
        return usual;
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let has_most = |delimiter: u8| counts.contains(&(delimiter, most));
    match counts.iter().find(|(_, count)| *count == most) {
        Some((delimiter, 1..)) if !has_most(usual) => *delimiter,
        _ => usual,
    }
}

/// `sep=;`
fn stated_delimiter(line: &str) -> Option<u8> {
    match line.strip_prefix("sep=")?.as_bytes() {
        [] => Some(b'\t'),
        [delimiter @ (b',' | b';' | b'\t' | b'|')] => Some(*delimiter),
        _ => None,
    }
}

fn name_of(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "commas",
        b';' => "semicolons",
        b'|' => "vertical bars",
        _ => "tabs",
    }
}

/// The reader's position may lie before blank lines that it skips; a row starts after them.
fn starting_line(text: &str, position: &csv::Position) -> usize {
    let rest = &text.as_bytes()[position.byte() as usize..];
    let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).filter(|&&b| b == b'\n');
    position.line() as usize + blank.count()
}

fn error(file: &str, error: &csv::Error, lines_before: usize) -> crate::error::Error {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => invalid_line(
            file,
            lines_before + pos.as_ref().map_or(0, |p| p.line() as usize),
            format!(
                "has {len} fields where the header has {expected_len}; look for a missing separator or an unclosed quote, \
                 and put a text that holds the separator in quotation marks"
            ),
        ),
        _ => invalid(file, format!("cannot be read as a table ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, kind: Kind) -> Result<Vec<(usize, String)>> {
        let last =
            |record: &Record| record.fields.values().next_back().unwrap().as_str().unwrap().to_string();
        let records = read("f", text, kind)?.records;
        Ok(records.iter().map(|record| (record.line, last(record))).collect())
    }

    #[test]
    fn rows_know_their_lines() {
        let text = "prompt,completion\r\n\"a\r\nb\",c\r\n\r\n\r\nd,e\r\n";
        let lines: Vec<usize> = rows(text, Kind::Csv).unwrap().iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 6]);
    }

    #[test]
    fn the_separator_is_found() {
        for (text, note) in [
            ("prompt;completion\na,b;c\n", "semicolons"),
            ("sep=;\nprompt;completion\na,b;c\n", "semicolons"),
            ("\"a, b, c\";prompt;completion\nx;y;c\n", "semicolons"),
            ("prompt|completion\na,b|c\n", "vertical bars"),
            ("prompt\tcompletion\na,b\tc\n", "tabs"),
        ] {
            let records = read("f.csv", text, Kind::Csv).unwrap();
            assert_eq!(records.records[0].fields["completion"], "c", "{text}");
            assert_eq!(records.notes, [format!("columns are separated by {note}")]);
        }
        assert_eq!(rows("sep=;\nprompt;completion\na,b;c\n", Kind::Csv).unwrap()[0].0, 3);
        let records = read("f.tsv", "prompt,completion\na,c\n", Kind::Tsv).unwrap();
        assert_eq!(records.notes, ["columns are separated by commas"]);
    }

    #[test]
    fn marks_that_nobody_closes_are_text() {
        let text = "prompt\tcompletion\nq\t\"Mind the step\np\ta\nq\t\"Shut the gate\nq\t\"Hello!\" he said.\nq\tb\n";
        let expected: Vec<(usize, String)> =
            [(2, "\"Mind the step"), (3, "a"), (4, "\"Shut the gate"), (5, "\"Hello!\" he said."), (6, "b")]
                .map(|(line, said)| (line, said.to_string()))
                .into();
        for (kind, separator) in [(Kind::Tsv, "\t"), (Kind::Csv, ","), (Kind::Csv, ";")] {
            let text = text.replace('\t', separator);
            assert_eq!(rows(&text, kind).unwrap(), expected);
            let notes = read("f", &text, kind).unwrap().notes;
            assert!(
                notes
                    .last()
                    .unwrap()
                    .contains("quotation marks are read as text: the one that begins a cell on line 2")
            );
        }
        assert_eq!(rows("text\n\"a\nb\n", Kind::Csv).unwrap(), [(2, "\"a".to_string()), (3, "b".into())]);
    }

    #[test]
    fn marks_that_could_be_either_swallow_no_row() {
        let text = "prompt\tcompletion\nq\t\"Mind the step\nq\ta\nq\tand the gate\"\nq\tb\n";
        assert_eq!(rows(text, Kind::Tsv).unwrap().len(), 4);
        let said = rows(&text.replace('\t', ","), Kind::Csv).unwrap_err().to_string();
        assert!(
            said.starts_with("f, line 2: a cell begins with a quotation mark that closes only on line 4"),
            "{said}"
        );
    }

    #[test]
    fn marks_beside_quoted_cells_are_refused_by_line() {
        let said = rows("prompt,completion\n\"a, b\",c\nd,\"e\nf,g\n", Kind::Csv).unwrap_err().to_string();
        assert!(said.starts_with("f, line 3: a cell begins with a quotation mark"), "{said}");
        let said =
            rows("prompt,completion\n\"a \"\"b\"\"\",c\nd,\"e\nf,g\n", Kind::Csv).unwrap_err().to_string();
        assert!(said.starts_with("f, line 3: a cell begins with a quotation mark"), "{said}");
        let said = rows("prompt,completion\nq,\"a, \\\"b\\\" c\"\n", Kind::Csv).unwrap_err().to_string();
        assert!(said.contains("written twice (\"\"), not after a backslash"), "{said}");
    }

    #[test]
    fn a_cell_of_several_lines_stays_one() {
        let text = "prompt,completion\nq,\"one, two\nthree\"\n\"a \"\"b\"\"\" ,c\n";
        let said = rows(text, Kind::Csv).unwrap();
        assert_eq!(said, [(2, "one, two\nthree".to_string()), (4, "c".into())]);
        assert_eq!(rows("text\n\"a\nb\"\nc\n", Kind::Csv).unwrap().len(), 2);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let records =
            read("f.csv", ",prompt,completion\n0,a,b\n,prompt,completion\n1,c,d\n", Kind::Csv).unwrap();
        assert_eq!(records.records.len(), 2);
        assert_eq!(
            records.notes,
            [
                "the header stands again in the table and is left out there (line 3)",
                "column 1 has no name in the header and is not used"
            ]
        );
    }
}
