//! Rows that cannot be trained on, and what the user is told.

use super::dataset::{Dataset, Message, RowContent};
use super::detect::list_lines;
use super::encode::{EncodeOptions, Encoded};
use super::row::Verdict;
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
    /// A preference row in which the assistant says nothing on this side.
    NoAnswer(Verdict),
    /// Every answer is marked to be left out of the loss.
    ContextOnly,
    /// The prompt alone is as long as `max_seq_length`; the row has this many tokens.
    PromptTooLong { tokens: usize },
    /// A preference row whose two answers are the same.
    SameAnswers,
    /// An answer that would be cut, where the objective needs its end; it has this many tokens.
    AnswerTooLong { tokens: usize },
    /// The chat template refuses the conversation.
    Template(String),
    /// The row uses tools that the chat template does not write; it ends the whole reading.
    Tools(String),
}

/// So many refusals of the chat template are told in its own words.
const REFUSALS: usize = 5;

const SIDES: [(SkipReason, &str); 2] = [
    (SkipReason::NoAnswer(Verdict::Chosen), "chosen"),
    (SkipReason::NoAnswer(Verdict::Rejected), "rejected"),
];

fn lines(dataset: &Dataset, skipped: &[SkippedRow], is_reason: impl Fn(&SkipReason) -> bool) -> Vec<usize> {
    skipped.iter().filter(|s| is_reason(&s.reason)).map(|s| dataset.rows[s.row].line).collect()
}

/// "1 row is left out because …", "3 rows are left out because …", with their lines.
fn left_out(lines: &[usize], why: &str) -> String {
    let rows = if lines.len() == 1 { "1 row is".into() } else { format!("{} rows are", lines.len()) };
    format!("{rows} left out because {why} ({})", list_lines(lines))
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
    for (reason, side) in SIDES {
        let lines = lines(dataset, skipped, |r| *r == reason);
        if !lines.is_empty() {
            reasons.push(format!(
                "{} whose \"{side}\" has no message of the assistant ({}); give its answer the role assistant",
                lines.len(),
                list_lines(&lines)
            ));
        }
    }
    let marked = count(|r| *r == SkipReason::ContextOnly);
    if marked > 0 {
        reasons.push(format!("{marked} whose answers are all marked to be left out of the loss"));
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
    let refusals = encoded.skipped.iter().filter_map(|skipped| match &skipped.reason {
        SkipReason::Template(reason) => Some(reason),
        _ => None,
    });
    let mut reasons: Vec<&String> = Vec::new();
    for reason in refusals {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    for (place, reason) in reasons.iter().take(REFUSALS).enumerate() {
        // A template may say something else of each row; the last sentence is for all that are left.
        let is_last = place + 1 == REFUSALS;
        let is_told = |other: &String| other == *reason || is_last && !reasons[..place].contains(&other);
        let lines = lines(dataset, &encoded.skipped, |r| matches!(r, SkipReason::Template(r) if is_told(r)));
        notes.push(left_out(&lines, &format!("the chat template {reason}")));
    }
    type Is = fn(&SkipReason) -> bool;
    let reasons: [(Is, &str); 6] = [
        (|r| *r == SkipReason::NoAssistantTurn, "the assistant says nothing"),
        (|r| *r == SIDES[0].0, "the assistant says nothing in \"chosen\""),
        (|r| *r == SIDES[1].0, "the assistant says nothing in \"rejected\""),
        (|r| *r == SkipReason::ContextOnly, "all answers are marked to be left out of the loss"),
        (|r| *r == SkipReason::SameAnswers, "their chosen and rejected answers are the same"),
        (
            |r| matches!(r, SkipReason::AnswerTooLong { .. }),
            "an answer is longer than max_seq_length, and its end is what a reward is read off",
        ),
    ];
    for (is_reason, why) in reasons {
        let lines = lines(dataset, &encoded.skipped, is_reason);
        if !lines.is_empty() {
            notes.push(left_out(&lines, why));
        }
    }
    notes.extend(marks(dataset));
    notes.extend(unused_reasoning(dataset, tokenizer));
    notes
}

/// The messages of a row, of all its answers.
fn messages(content: &RowContent) -> impl Iterator<Item = &Message> {
    content.answers().into_iter().flat_map(|answer| match answer {
        RowContent::Chat { messages, .. } => messages.as_slice(),
        RowContent::Prompt(task) => task.prompt.as_slice(),
        _ => &[],
    })
}

/// A sentence on the turns that the file marks as context.
fn marks(dataset: &Dataset) -> Option<String> {
    let is_marked = |message: &&Message| message.context_only && message.is_assistant();
    let marked = |content| messages(content).filter(is_marked).count();
    let turns: usize = dataset.rows.iter().map(|row| marked(&row.content)).sum();
    (turns > 0).then(|| {
        let turns = if turns == 1 { "1 answer is".into() } else { format!("{turns} answers are") };
        format!("{turns} marked in the file to be left out of the loss, and read only as context")
    })
}

/// A sentence for each field of reasoning that the chat template does not write.
fn unused_reasoning(dataset: &Dataset, tokenizer: &Tokenizer) -> Vec<String> {
    let fields = |content| messages(content).filter_map(|m| m.reasoning.as_ref()).map(|r| r.field);
    let mut found: Vec<(&str, Vec<usize>)> = Vec::new();
    for row in &dataset.rows {
        for field in fields(&row.content) {
            match found.iter_mut().find(|(known, _)| *known == field) {
                Some((_, lines)) if lines.last() == Some(&row.line) => {}
                Some((_, lines)) => lines.push(row.line),
                None => found.push((field, vec![row.line])),
            }
        }
    }
    if found.is_empty() || tokenizer.template().reasoning_field().is_some() {
        return Vec::new();
    }
    let sentence = |(field, lines): (&str, Vec<usize>)| {
        let rows = if lines.len() == 1 { "1 row".into() } else { format!("{} rows", lines.len()) };
        let whose =
            if tokenizer.has_chat_template() { "the model's chat template" } else { "the plain format" };
        format!(
            "the field \"{field}\" of {rows} is not used: {whose} does not write reasoning ({})",
            list_lines(&lines)
        )
    };
    found.into_iter().map(sentence).collect()
}
