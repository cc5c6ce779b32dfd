//! Plain text and Markdown.
//!
//! The whole file is one document, so that a long text keeps its context and is cut only where
//! `max_seq_length` asks for it. Two or more blank lines in a row, or a line that is only
//! `<|endoftext|>`, end a document and begin the next; single blank lines are paragraphs and stay.

use super::{Record, Records};
use serde_json::{Map, Value};

const SEPARATOR: &str = "<|endoftext|>";

pub(super) fn read(text: &str) -> Records {
    let mut records = Vec::new();
    let mut document: Vec<&str> = Vec::new();
    let mut first_line = 1;
    let mut blank_lines = 0;
    for (index, line) in text.lines().enumerate() {
        let is_separator = line.trim() == SEPARATOR;
        if line.trim().is_empty() || is_separator {
            blank_lines += 1;
            if blank_lines >= 2 || is_separator {
                flush(&mut document, first_line, &mut records);
            } else if !document.is_empty() {
                document.push("");
            }
            continue;
        }
        blank_lines = 0;
        if document.is_empty() {
            first_line = index + 1;
        }
        document.push(line);
    }
    flush(&mut document, first_line, &mut records);
    let notes = vec![match records.len() {
        1 => "the file is read as one document; two blank lines in a row would begin another".into(),
        n => format!("the file is read as {n} documents, separated by two blank lines or {SEPARATOR}"),
    }];
    Records { records, columns: vec!["text".into()], notes }
}

fn flush(document: &mut Vec<&str>, line: usize, records: &mut Vec<Record>) {
    while document.last().is_some_and(|l| l.is_empty()) {
        document.pop();
    }
    if !document.is_empty() {
        let fields = Map::from_iter([("text".to_string(), Value::String(document.join("\n")))]);
        records.push(Record { line, fields });
        document.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<(usize, String)> {
        let records = read(text).records;
        records.iter().map(|r| (r.line, r.fields["text"].as_str().unwrap().to_string())).collect()
    }

    #[test]
    fn one_blank_line_is_a_paragraph_and_two_are_a_document() {
        assert_eq!(documents("a\r\n\r\nb\n"), [(1, "a\n\nb".to_string())]);
        assert_eq!(documents("\n\na\nb\n\n\nc\n"), [(3, "a\nb".into()), (7, "c".into())]);
        assert_eq!(documents("a\n<|endoftext|>\nb"), [(1, "a".into()), (3, "b".into())]);
    }
}
