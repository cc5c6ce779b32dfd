//! Plain text and Markdown.
//!
//! The whole file is one document, so that a long text keeps its context and is cut only where
//! `max_seq_length` asks for it. Two or more blank lines in a row, or a line that is only
//! `<|endoftext|>`, end a document and begin the next; single blank lines are paragraphs and stay.
//!
//! Rows in JSON or a table that somebody named `.txt` are told from text by [`content`], so that their braces and column names are
//! never learned as prose.

use super::records::{Record, Records};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

const SEPARATOR: &str = "<|endoftext|>";

pub(super) enum Content {
    Prose,
    /// One value in the whole file, or one a line.
    Json,
    /// A header line of known column names, with its separator.
    Table(u8),
}

/// What the text is, whatever the file is called.
pub(super) fn content(text: &str) -> Content {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    // White space aside, rows in JSON begin in one of these ways; with ' it is Python's.
    let start: String = text.chars().filter(|c| !c.is_whitespace()).take(3).collect();
    let beginnings = ["{\"", "{'", "[{", "[\"", "[[", "[]", "{}"];
    let begins_like_json = beginnings.iter().any(|begin| start.starts_with(begin));
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let objects = lines().filter(|line| line.starts_with('{') && is_json(line)).count();
    let keys = lines().filter(|line| is_key(line)).count();
    let is_half = |count: usize| 2 * count >= lines().count();
    if objects > 0 && is_half(objects) || keys > 1 && is_half(keys) {
        return Content::Json;
    }
    // A first line in brackets may begin prose, so more must look like JSON.
    if begins_like_json
        && (is_json(text) || objects > 0 || keys > 0 || text.contains("\":") || start.contains('\''))
    {
        return Content::Json;
    }
    let header = lines().next().unwrap_or_default();
    for separator in [b'\t', b',', b';'] {
        let cells = |line: &str| line.split(separator as char).count();
        let is_name = |cell: &str| {
            let cell = cell.trim().trim_matches('"');
            COLUMNS.iter().any(|name| cell.eq_ignore_ascii_case(name))
        };
        if cells(header) > 1
            && header.split(separator as char).all(is_name)
            && lines().nth(1).is_some_and(|line| cells(line) > 1)
        {
            return Content::Table(separator);
        }
    }
    Content::Prose
}

/// Names of columns, of which alone a line of prose does not consist.
pub(super) const COLUMNS: [&str; 22] = [
    "text",
    "label",
    "prompt",
    "completion",
    "response",
    "question",
    "answer",
    "instruction",
    "input",
    "output",
    "system",
    "messages",
    "conversations",
    "chosen",
    "rejected",
    "anchor",
    "positive",
    "negative",
    "sentence1",
    "sentence2",
    "score",
    "id",
];

/// `"prompt": …`, a line of an object that is written over several.
fn is_key(line: &str) -> bool {
    let Some((key, rest)) = line.strip_prefix('"').and_then(|line| line.split_once('"')) else {
        return false;
    };
    let is_word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && rest.trim_start().starts_with(':')
}

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

    #[test]
    fn rows_under_another_name_are_no_prose() {
        let is_json = |text: &str| matches!(content(text), Content::Json);
        for text in [
            "{\"text\": \"a\"}\n{\"text\": \"b\"}\n",
            "[\n {\n  \"prompt\": \"a\",\n  \"completion\": \"b\"\n }\n]\n",
            "{\"text\": \"a\"}\n{\"text\": b}\n",
            "{'text': 'a'}\n",
            "# My rows\n\n```json\n{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n```\n",
        ] {
            assert!(is_json(text), "{text}");
        }
        for text in
            ["A text with {\"braces\": 1} in it.\n", "[1] A note.\n", "{x} is a set.\n", "- \"a\": b\nmore\n"]
        {
            assert!(matches!(content(text), Content::Prose), "{text}");
        }
        assert!(matches!(content("Prompt\tcompletion\na\tb\n"), Content::Table(b'\t')));
        assert!(matches!(content("prompt, text and more\na, b\n"), Content::Prose));
    }
}
