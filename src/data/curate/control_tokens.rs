//! Text that holds the tokenizer's control tokens, such as `<|im_end|>`: to a tokenizer they are those tokens wherever they stand, so
//! that a turn ends early, or a user's words pose as the assistant's.

use super::finding::{Finding, FindingKind, FoundRow, LISTED_ROWS};
use super::text;
use crate::data::types::Dataset;
use std::collections::BTreeSet;

/// `control_tokens_in` gives those that a text holds.
pub fn finding(dataset: &Dataset, control_tokens_in: impl Fn(&str) -> Vec<String>) -> Option<Finding> {
    let mut count = 0;
    let mut rows = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for row in &dataset.rows {
        let (mut held, mut excerpt) = (BTreeSet::new(), String::new());
        text::each(&row.content, &mut |said| {
            let found = control_tokens_in(said);
            if let (Some(first), true) = (found.first(), held.is_empty()) {
                excerpt = text::excerpt(said, said.find(first.as_str()).unwrap_or(0));
            }
            held.extend(found);
        });
        if held.is_empty() {
            continue;
        }
        count += 1;
        if rows.len() < LISTED_ROWS {
            let note = format!("holds {}", list(&held));
            rows.push(FoundRow { line: row.line, note, excerpt });
        }
        names.extend(held);
    }
    let hold = if count == 1 { "1 row holds".into() } else { format!("{count} rows hold") };
    (count > 0).then(|| Finding {
        kind: FindingKind::ControlTokens,
        sentence: format!(
            "{hold} the tokenizer's control tokens in the text ({}); they are encoded as those tokens, as transformers does, so \
             that a turn may end early or a text pose as another's: where they are meant as words, write them otherwise",
            list(&names)
        ),
        count,
        rows,
        fix: None,
    })
}

fn list(tokens: &BTreeSet<String>) -> String {
    tokens.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
