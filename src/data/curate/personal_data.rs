//! What may be personal or secret: e-mail addresses, phone numbers, access keys, payment cards. A model can recite any of it.
//!
//! Patterns find what is usual and miss what is not; a name or an address in plain words is not found.

use super::finding::{Finding, FindingKind, FoundRow, LISTED_ROWS};
use super::text;
use crate::data::types::{Dataset, Row};
use crate::recipe::Fix;
use regex::Regex;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

struct Kind {
    /// In words, for the page.
    name: &'static str,
    /// What is written in its place.
    placeholder: &'static str,
    pattern: LazyLock<Regex>,
    /// Whether a match is one.
    holds: fn(&str) -> bool,
}

/// In the order of precedence: a card number is not also a phone number.
static KINDS: [Kind; 4] = [
    Kind {
        name: "e-mail address",
        placeholder: "[email]",
        pattern: LazyLock::new(|| pattern(r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b")),
        holds: |_| true,
    },
    // The forms that their makers gave them, so that they can be found.
    Kind {
        name: "access key",
        placeholder: "[key]",
        pattern: LazyLock::new(|| {
            pattern(concat!(
                r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}",
                r"|\bAKIA[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bhf_[A-Za-z0-9]{30,}",
                r"|-----BEGIN [A-Z ]*PRIVATE KEY-----",
            ))
        }),
        holds: |key| key.bytes().any(|b| b.is_ascii_digit()) || key.starts_with("-----"),
    },
    Kind {
        name: "card number",
        placeholder: "[card]",
        pattern: LazyLock::new(|| pattern(r"\b(?:\d[ -]?){12,18}\d\b")),
        holds: |number| luhn(&digits(number)),
    },
    // International with +, North American in three groups, national with a leading 0.
    Kind {
        name: "phone number",
        placeholder: "[phone]",
        pattern: LazyLock::new(|| {
            pattern(concat!(
                r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}\b",
                r"|(?:\(\d{3}\) ?|\b\d{3}[.-])\d{3}[ .-]\d{4}\b|\b0\d{2,4}[ /-]\d{3}(?:[ -]?\d){3,7}\b",
            ))
        }),
        holds: |number| (7..=15).contains(&digits(number).len()),
    },
];

const PEM: &str = "-----BEGIN ";
static PEM_END: LazyLock<Regex> = LazyLock::new(|| pattern(r"-----END [A-Z ]*PRIVATE KEY-----"));

pub fn finding(dataset: &Dataset) -> Option<Finding> {
    let mut counts = [0; KINDS.len()];
    let (mut rows, mut count) = (Vec::new(), 0);
    for row in &dataset.rows {
        let words = text::of_row(&row.content);
        let found = find(&words);
        let Some((first, _)) = found.first() else { continue };
        found.iter().for_each(|(_, kind)| counts[*kind] += 1);
        count += 1;
        if rows.len() < LISTED_ROWS {
            let mut names: Vec<&str> = found.iter().map(|(_, kind)| KINDS[*kind].name).collect();
            names.dedup();
            let excerpt = text::excerpt(&words, first.start);
            rows.push(FoundRow { line: row.line, note: names.join(", "), excerpt });
        }
    }
    let kinds = KINDS.iter().zip(counts).filter(|(_, count)| *count > 0);
    let kinds: Vec<String> = kinds.map(|(kind, count)| plural(count, kind.name)).collect();
    (count > 0).then(|| Finding {
        kind: FindingKind::PersonalData,
        sentence: format!(
            "{} what may be personal or secret: {}",
            if count == 1 { "1 row holds".into() } else { format!("{count} rows hold") },
            kinds.join(", ")
        ),
        count,
        rows,
        fix: Some(Fix::Redact),
    })
}

/// Puts a placeholder for each find; returns the lines of the rows that changed.
pub fn redact(dataset: &mut Dataset) -> Vec<usize> {
    let mut lines = Vec::new();
    for row in &mut dataset.rows {
        let (mut content, mut changed) = (row.content.clone(), false);
        text::each_mut(&mut content, &mut |text| {
            let found = find(text);
            if found.is_empty() {
                return;
            }
            let (mut redacted, mut from) = (String::with_capacity(text.len()), 0);
            for (place, kind) in found {
                redacted.push_str(&text[from..place.start]);
                redacted.push_str(KINDS[kind].placeholder);
                from = place.end;
            }
            redacted.push_str(&text[from..]);
            *text = redacted;
            changed = true;
        });
        // What stays as it is stays shared.
        if changed {
            lines.push(row.line);
            *row = Arc::new(Row { line: row.line, content });
        }
    }
    lines
}

/// Where in the text, and which of [`KINDS`], in the order of the text; none overlaps another.
fn find(text: &str) -> Vec<(Range<usize>, usize)> {
    let mut found: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, kind) in KINDS.iter().enumerate() {
        let mut earlier = found.iter().peekable();
        let mut free = Vec::new();
        let places = kind.pattern.find_iter(text).filter(|place| (kind.holds)(place.as_str()));
        for place in whole_keys(text, places.map(|place| place.range()).collect()) {
            while earlier.next_if(|(taken, _)| taken.end <= place.start).is_some() {}
            if earlier.peek().is_none_or(|(taken, _)| place.end <= taken.start) {
                free.push((place, index));
            }
        }
        found.extend(free);
        found.sort_by_key(|(place, _)| place.start);
    }
    found
}

/// A key in PEM reaches to its last line. Searched in one go: a pattern that looked for the end would do so from each beginning.
fn whole_keys(text: &str, places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let is_pem = |place: &Range<usize>| text[place.clone()].starts_with(PEM);
    if !places.iter().any(is_pem) {
        return places;
    }
    let ends: Vec<Range<usize>> = PEM_END.find_iter(text).map(|end| end.range()).collect();
    let mut whole: Vec<Range<usize>> = Vec::new();
    for place in places {
        if whole.last().is_some_and(|last| place.start < last.end) {
            continue;
        }
        let end = ends.get(ends.partition_point(|end| end.start < place.end)).filter(|_| is_pem(&place));
        whole.push(place.start..end.map_or(place.end, |end| end.end));
    }
    whole
}

/// The check digit of payment cards (ISO/IEC 7812-1), over 13 to 19 digits.
fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(i, &d)| if i % 2 == 1 { doubled(d) } else { d }).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && digits.iter().any(|&digit| digit > 0)
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is written above")
}

fn plural(count: usize, name: &str) -> String {
    match count {
        1 => format!("1 {name}"),
        _ if name.ends_with("address") => format!("{count} {name}es"),
        _ => format!("{count} {name}s"),
    }
}
