//! Rows that cannot be trained on, and what the user is told.

use super::dataset::{Dataset, RowContent};
use super::encode::{EncodeOptions, Encoded};
use super::tokenizer::Tokenizer;
use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRow {
    /// Index into the rows of the data set.
    pub row: usize,
    pub reason: SkipReason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// No text, no completion, no assistant's words.
    Empty,
    /// A conversation in which the assistant says nothing.
    NoAssistantTurn,
    /// The prompt alone is as long as `max_seq_length`; the row has this many tokens.
    PromptTooLong { tokens: usize },
    /// A preference row whose two answers are the same.
    SameAnswers,
    /// An answer that would be cut, where the objective needs its end; it has this many tokens.
    AnswerTooLong { tokens: usize },
    /// The chat template refuses the conversation.
    Template(String),
}

/// Lines of a file, each once: "line 3", "lines 1, 2, 5 and 12 more".
pub(super) fn lines(lines: &[usize]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = lines.iter().take(SHOWN).map(usize::to_string).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    match lines.len().saturating_sub(SHOWN) {
        0 => format!("{word} {}", shown.join(", ")),
        more => format!("{word} {} and {more} more", shown.join(", ")),
    }
}

/// The error for a data set of which every row was skipped.
pub(super) fn nothing_to_train(dataset: &Dataset, skipped: &[SkippedRow], options: &EncodeOptions) -> Error {
    let count = |wanted: fn(&SkipReason) -> bool| skipped.iter().filter(|s| wanted(&s.reason)).count();
    let mut reasons = Vec::new();
    let empty = count(|r| *r == SkipReason::Empty);
    if empty > 0 {
        reasons.push(format!("{empty} empty"));
    }
    let silent = count(|r| *r == SkipReason::NoAssistantTurn);
    if silent > 0 {
        reasons.push(format!("{silent} without an assistant message"));
    }
    let same = count(|r| *r == SkipReason::SameAnswers);
    if same > 0 {
        reasons.push(format!("{same} whose chosen and rejected answers are the same"));
    }
    let lengths = skipped.iter().filter_map(|s| match s.reason {
        SkipReason::PromptTooLong { tokens } => Some(tokens),
        _ => None,
    });
    if let Some(shortest) = lengths.clone().min() {
        reasons.push(format!(
            "{} whose prompt alone fills max_seq_length {} (raise it; the shortest of these rows has {shortest} tokens)",
            lengths.count(),
            options.max_seq_length,
        ));
    }
    let answers = skipped.iter().filter_map(|s| match s.reason {
        SkipReason::AnswerTooLong { tokens } => Some(tokens),
        _ => None,
    });
    if let Some(shortest) = answers.clone().min() {
        reasons.push(format!(
            "{} longer than max_seq_length {} (raise it; the shortest of these rows has {shortest} tokens)",
            answers.count(),
            options.max_seq_length,
        ));
    }
    let refused = skipped.iter().filter_map(|s| match &s.reason {
        SkipReason::Template(reason) => Some((dataset.rows[s.row].line, reason)),
        _ => None,
    });
    if let Some((line, reason)) = refused.clone().next() {
        reasons.push(format!("{} that the chat template {reason} (first on line {line})", refused.count()));
    }
    Error::InvalidData {
        file: dataset.file.clone(),
        reason: format!(
            "leaves no token to train on; of {} rows: {}",
            dataset.rows.len(),
            if reasons.is_empty() { "none has two tokens".into() } else { reasons.join(", ") },
        ),
    }
}

/// What was decided while encoding.
pub(super) fn notes(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    encoded: &Encoded,
    split_into_turns: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    let contents = || dataset.rows.iter().flat_map(|row| row.content.answers());
    let has_chats = contents().any(|content| matches!(content, RowContent::Chat { .. }));
    let has_pairs = contents().any(|content| matches!(content, RowContent::Pair { .. }));
    let has_system = contents().any(|content| match content {
        RowContent::Chat { messages, .. } => messages.first().is_some_and(|m| m.role == "system"),
        RowContent::Pair { system, .. } => system.is_some(),
        _ => false,
    });
    match tokenizer.chat_template() {
        Some(template) => {
            if has_pairs {
                notes.push("each prompt and completion becomes a user and an assistant turn of the model's chat template".into());
            }
            if has_system && !template.has_system_role() {
                notes.push("the model's chat template has no system role: a system message is put before the first user message".into());
            }
        }
        None => {
            if has_chats {
                notes.push("the model has no chat template: conversations are written in a plain format (### User: … ### Assistant: …)".into());
            }
            if has_pairs {
                notes.push(
                    "the model has no chat template: prompt and completion are joined as they stand".into(),
                );
            }
        }
    }
    if split_into_turns {
        notes.push("the chat template writes past turns otherwise than the last one: each answer of a conversation is an example of its own".into());
    }
    let refused = encoded.skipped.iter().find_map(|skipped| match &skipped.reason {
        SkipReason::Template(reason) => Some((dataset.rows[skipped.row].line, reason)),
        _ => None,
    });
    if let Some((line, reason)) = refused {
        let count = encoded.skipped.iter().filter(|s| matches!(s.reason, SkipReason::Template(_))).count();
        notes.push(format!(
            "{count} rows are left out because the chat template {reason} (first on line {line})"
        ));
    }
    type Is = fn(&SkipReason) -> bool;
    let reasons: [(Is, &str); 3] = [
        (|r| *r == SkipReason::NoAssistantTurn, "the assistant says nothing"),
        (|r| *r == SkipReason::SameAnswers, "their chosen and rejected answers are the same"),
        (
            |r| matches!(r, SkipReason::AnswerTooLong { .. }),
            "an answer is longer than max_seq_length, and its end is what a reward is read off",
        ),
    ];
    for (is_reason, why) in reasons {
        let left_out = || encoded.skipped.iter().filter(|s| is_reason(&s.reason));
        if let Some(first) = left_out().next() {
            let line = dataset.rows[first.row].line;
            let count = left_out().count();
            notes.push(format!("{count} rows are left out because {why} (first on line {line})"));
        }
    }
    notes
}
