//! What is wrong with text that is nearly JSON, in words for people: the place, the cause and the cure.

use super::records::{invalid_line, line_at};
use crate::error::Error;

/// The error for `json`, which begins on line `first_line` of the file.
pub(super) fn broken(file: &str, json: &str, first_line: usize, error: &serde_json::Error) -> Error {
    let at = offset(json, error);
    let (place, what) = cause(json, at, error);
    let line = first_line + line_at(json.as_bytes(), place) - 1;
    let start = json[..place].rfind('\n').map_or(0, |end| end + 1);
    let column = 1 + json[start..place].chars().count();
    let reason = match what {
        Some(what) => format!("is not valid JSON at column {column}: {what}"),
        None => {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or(&said).to_string();
            format!("is not valid JSON at column {column} ({said}); correct or remove this line")
        }
    };
    invalid_line(file, line, reason)
}

/// The place of the error and its cause; without a cause the parser's own words must do.
fn cause(json: &str, at: usize, error: &serde_json::Error) -> (usize, Option<String>) {
    let said = error.to_string();
    let rest = &json[at..];
    let next = rest.chars().next();
    let here = |what: &str| (at, Some(what.to_string()));
    if said.starts_with("trailing comma") {
        let comma = json[..at].rfind(',').unwrap_or(at);
        return (comma, Some("a comma stands after the last item; remove it".into()));
    }
    if said.contains("hex escape") || said.contains("surrogate") {
        let escape = json[..at].rfind("\\u").unwrap_or(at);
        let written: String = json[escape..].chars().take(6).collect();
        return (
            escape,
            Some(format!(
                "{written} is half of a character (of a pair such as \\ud83d\\ude00), whose other half is missing; write the \
                 whole character or remove it"
            )),
        );
    }
    if said.starts_with("invalid escape") {
        let what = "a backslash begins an escape that JSON does not have; write the backslash twice (\\\\)";
        return (json[..at].rfind('\\').unwrap_or(at), Some(what.into()));
    }
    if said.starts_with("control character") {
        return here(
            "a line break, a tab or another control character stands inside of a string; write it as \\n, \\t or \\u00…",
        );
    }
    if said.starts_with("trailing characters") {
        return match next {
            Some(',') => here(
                "a comma follows the object; remove it, or put all objects into one list, [ and ], in a .json file",
            ),
            _ => here("more follows where the object ends; put each object on a line of its own"),
        };
    }
    match next {
        Some('\'') => here(
            "it is written as Python prints it, with single quotes; JSON has double quotes: write the file with json.dumps",
        ),
        Some('\u{feff}') => here("a byte order mark, which nobody sees, stands here; remove it"),
        Some('“' | '”' | '„' | '‘' | '’') => {
            here("a typographic quotation mark stands here; JSON has only \"")
        }
        Some('/' | '#') => here("a comment stands here, and JSON has none; remove it"),
        Some('<') => here("this is a web page or XML and not data; download the data file itself"),
        Some(_) if ["None", "True", "False", "(", "array("].iter().any(|word| word_at(json, at, word)) => {
            here("it is written as Python prints it; write the file with json.dumps")
        }
        Some(_) if word_at(json, at, "undefined") => here("undefined is not JSON; write null"),
        Some(_) if !json.trim_start().starts_with(['{', '[', '"']) => (
            0,
            Some(
                "an object, {\"…\": …}, must begin here; a table is read from a file named .csv or .tsv, plain text from one \
                 named .txt"
                    .into(),
            ),
        ),
        _ => (at, None),
    }
}

/// Whether `word` stands where the parser stopped: it stops at a word's first letter or within it.
fn word_at(json: &str, at: usize, word: &str) -> bool {
    let from = json.floor_char_boundary(at.saturating_sub(word.len() - 1));
    json[from..].find(word).is_some_and(|place| from + place <= at)
}

/// The byte at which the parser stopped; its columns count bytes, from 1.
fn offset(json: &str, error: &serde_json::Error) -> usize {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => json.match_indices('\n').nth(line - 2).map_or(0, |(end, _)| end + 1),
    };
    json.floor_char_boundary((line_start + error.column().saturating_sub(1)).min(json.len()))
}
