//! Lists of rows and of names as sentences have them: the first few, and how many more.

use serde::Serialize;

/// Rows by their lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct RowList {
    pub count: usize,
    /// Line numbers of the first twenty.
    pub rows: Vec<usize>,
}

const LISTED_ROWS: usize = 20;

impl RowList {
    pub fn new(lines: impl IntoIterator<Item = usize>) -> Self {
        let mut list = RowList::default();
        for line in lines {
            list.count += 1;
            if list.rows.len() < LISTED_ROWS {
                list.rows.push(line);
            }
        }
        list
    }
}

/// Lines of a file, each once: "line 3", "lines 1, 2, 5 and 12 more".
pub fn lines(lines: &[usize]) -> String {
    lines_of(&RowList::new(lines.iter().copied()))
}

/// The same of rows of which only the first are listed.
pub fn lines_of(list: &RowList) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = list.rows.iter().take(SHOWN).map(usize::to_string).collect();
    let word = if list.count == 1 { "line" } else { "lines" };
    match list.count - shown.len() {
        0 => format!("{word} {}", shown.join(", ")),
        more => format!("{word} {} and {more} more", shown.join(", ")),
    }
}

/// Names with commas between them.
pub fn list_some(names: &[&str]) -> String {
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
