//! Whether the quotation marks of a table are borders of its cells or part of its text.
//!
//! A reader that takes a mark at the beginning of a cell for its border, where nobody closes it, swallows the rows up to the next
//! mark. So it is decided for the whole file: marks are borders only where each of them ends at a cell's end.

use super::records::invalid_line;
use crate::error::Result;

/// Which separator the file's name promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Csv,
    Tsv,
}

/// Whether marks are borders, and what there is to say of it.
///
/// # Errors
/// A mark that can be neither: the rows would not be whole.
pub(super) fn are_borders(
    file: &str,
    text: &str,
    delimiter: u8,
    kind: Kind,
) -> Result<(bool, Option<String>)> {
    match marks(text.as_bytes(), delimiter) {
        Marks::Closed => Ok((true, None)),
        // A cell within marks on one line shows a writer of borders, whose long cells may well have separators on each line.
        Marks::Across { line, to }
            if has_whole_lines(text, delimiter) && !has_cells_in_marks(text, delimiter) =>
        {
            match kind {
                Kind::Tsv => Ok((false, Some(as_text(line)))),
                Kind::Csv => Err(invalid_line(
                    file,
                    line,
                    format!(
                        "a cell begins with a quotation mark that closes only on line {to}, and each line up to there is a row \
                     of its own; close the mark, or write a mark that is text as \"\" within a quoted cell"
                    ),
                )),
            }
        }
        Marks::Across { .. } => Ok((true, None)),
        Marks::Open { line } if has_whole_lines(text, delimiter) && !has_doubled_marks(text, delimiter) => {
            Ok((false, Some(as_text(line))))
        }
        Marks::Open { line } => {
            let is_escaped =
                text.lines().nth(line - 1).is_some_and(|row| row.contains("\\\"") && !row.contains("\"\""));
            let cure = match is_escaped {
                true => "marks within a quoted cell are written twice (\"\"), not after a backslash",
                false => "close it, or write a mark that is text as \"\" within a quoted cell",
            };
            Err(invalid_line(
                file,
                line,
                format!(
                    "a cell begins with a quotation mark (an unclosed quote) that does not end where a cell ends; {cure}"
                ),
            ))
        }
    }
}

fn as_text(line: usize) -> String {
    format!(
        "quotation marks are read as text: the one that begins a cell on line {line} is not closed at a cell's end"
    )
}

enum Marks {
    /// Each cell that begins with a mark ends with one.
    Closed,
    /// The same, but the cell that begins on `line` runs over separators to another line.
    Across { line: usize, to: usize },
    /// The mark that begins a cell on this line ends nowhere, or within a cell.
    Open { line: usize },
}

fn marks(bytes: &[u8], delimiter: u8) -> Marks {
    let (mut at, mut line, mut is_start) = (0, 1, true);
    let mut across = None;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'"' && is_start {
            let first = line;
            let (mut has_delimiter, mut is_closed) = (false, false);
            at += 1;
            while at < bytes.len() && !is_closed {
                match bytes[at] {
                    b'"' if bytes.get(at + 1) == Some(&b'"') => at += 1,
                    b'"' => is_closed = true,
                    b'\n' => line += 1,
                    other => has_delimiter |= other == delimiter,
                }
                at += 1;
            }
            let rest = &bytes[at..];
            let next = rest.iter().find(|byte| **byte != b' ');
            if !is_closed || next.is_some_and(|next| ![delimiter, b'\r', b'\n'].contains(next)) {
                return Marks::Open { line: first };
            }
            if line > first && has_delimiter && across.is_none() {
                across = Some(Marks::Across { line: first, to: line });
            }
            is_start = false;
            continue;
        }
        is_start = byte == delimiter || byte == b'\n';
        line += usize::from(byte == b'\n');
        at += 1;
    }
    across.unwrap_or(Marks::Closed)
}

/// Whether each line alone is a row with a cell for each column.
fn has_whole_lines(text: &str, delimiter: u8) -> bool {
    let cells = |line: &str| line.bytes().filter(|&byte| byte == delimiter).count();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let Some(width) = lines.next().map(cells) else { return false };
    lines.all(|line| cells(line) == width)
}

fn has_cells_in_marks(text: &str, delimiter: u8) -> bool {
    let is_in_marks = |cell: &str| cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"');
    text.lines().any(|line| line.split(delimiter as char).any(is_in_marks))
}

/// Whether a line has a cell in marks with doubled marks inside, as only a writer of borders writes it.
fn has_doubled_marks(text: &str, delimiter: u8) -> bool {
    let is_doubled = |cell: &str| {
        let inner = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
        inner.is_some_and(|inner| inner.contains("\"\""))
    };
    text.lines().any(|line| line.split(delimiter as char).any(is_doubled))
}
