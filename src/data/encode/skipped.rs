//! Rows that cannot be trained on, and what the user is told.

use super::example::Verdict;
use super::options::EncodeOptions;
use super::tokenizer::Tokenizer;
use crate::data::listing;
use crate::data::types::{Dataset, Message, RowContent};
use crate::error::Error;
use crate::recipe::Objective;

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
const REFUSAL: &str = "the chat template";

const SIDES: [(SkipReason, &str); 2] = [
    (SkipReason::NoAnswer(Verdict::Chosen), "chosen"),
    (SkipReason::NoAnswer(Verdict::Rejected), "rejected"),
];

fn lines_with(
    dataset: &Dataset,
    skipped: &[SkippedRow],
    is_reason: impl Fn(&SkipReason) -> bool,
) -> Vec<usize> {
    skipped.iter().filter(|s| is_reason(&s.reason)).map(|s| dataset.rows[s.row].line).collect()
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
        let lines = lines_with(dataset, skipped, |r| *r == reason);
        if !lines.is_empty() {
            reasons.push(format!(
                "{} whose \"{side}\" has no message of the assistant ({}); give its answer the role assistant",
                lines.len(),
                listing::lines(&lines)
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
        reasons
            .push(format!("{} because the chat template {reason} (first on line {line})", refused.count()));
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
    skipped: &[SkippedRow],
    options: &EncodeOptions,
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
    notes.extend(answers_without_end(tokenizer).filter(|_| has_chats || has_pairs));
    if split_into_turns {
        notes.push("the chat template writes past turns otherwise than the last one: each answer of a conversation is an example of its own".into());
    }
    notes.extend(left_out(dataset, skipped, options));
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
            listing::lines(&lines)
        )
    };
    found.into_iter().map(sentence).collect()
}

/// What follows where the chat template writes nothing that ends an answer.
fn answers_without_end(tokenizer: &Tokenizer) -> Option<String> {
    match tokenizer.answer_end().and_then(|id| tokenizer.id_to_token(id)) {
        Some(end) => Some(format!(
            "the model's chat template ends no answer: {end} is put after the last answer of a conversation and trained, so \
             that the model learns to stop"
        )),
        None if tokenizer.eos_token_id().is_none() && tokenizer.ends_no_answer() => Some(
            "nothing ends an answer, since the chat template writes no end token and the tokenizer names none: the model will \
             not learn to stop; name its eos_token in tokenizer_config.json"
                .into(),
        ),
        None => None,
    }
}

/// The rows that are left out, a sentence for each reason, with their lines.
fn left_out(dataset: &Dataset, skipped: &[SkippedRow], options: &EncodeOptions) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<usize>)> = Vec::new();
    for SkippedRow { row, reason } in skipped {
        let mut because = reason.because(options);
        // A template may say something else of each row; the last sentence is for all that are left.
        let is_refusal = |reason: &str| reason.starts_with(REFUSAL);
        if is_refusal(&because) && !reasons.iter().any(|(known, _)| *known == because) {
            let mut refusals = reasons.iter().filter(|(known, _)| is_refusal(known));
            if let Some((last, _)) = refusals.nth(REFUSALS - 1) {
                because.clone_from(last);
            }
        }
        let line = dataset.rows[*row].line;
        match reasons.iter_mut().find(|(known, _)| *known == because) {
            Some((_, lines)) => lines.push(line),
            None => reasons.push((because, vec![line])),
        }
    }
    let sentence = |(reason, found): (String, Vec<usize>)| match found.len() {
        1 => format!("1 row is left out because {reason} ({})", listing::lines(&found)),
        count => format!("{count} rows are left out because {reason} ({})", listing::lines(&found)),
    };
    reasons.into_iter().map(sentence).collect()
}

impl SkipReason {
    /// Completes "left out because …".
    fn because(&self, options: &EncodeOptions) -> String {
        let most = options.max_seq_length;
        match self {
            SkipReason::Empty => {
                "there is nothing to learn: no text, no completion or no assistant's words".into()
            }
            SkipReason::NoAssistantTurn => "the assistant says nothing".into(),
            SkipReason::PromptTooLong { .. } if options.objective == Objective::Grpo => {
                format!("the prompt leaves no room for an answer within {most} tokens (train.max_seq_length)")
            }
            SkipReason::PromptTooLong { .. } => {
                format!("no answer begins within {most} tokens (train.max_seq_length)")
            }
            SkipReason::NoAnswer(verdict) => {
                let side = SIDES.iter().find(|(reason, _)| *reason == SkipReason::NoAnswer(*verdict));
                format!("the assistant says nothing in \"{}\"", side.map_or("completion", |(_, name)| name))
            }
            SkipReason::ContextOnly => "all answers are marked to be left out of the loss".into(),
            SkipReason::SameAnswers => "the chosen and the rejected answer are the same".into(),
            SkipReason::AnswerTooLong { .. } => format!(
                "an answer is longer than max_seq_length ({most} tokens), and its end is what a reward is read off"
            ),
            SkipReason::Template(reason) => format!("{REFUSAL} {reason}"),
            SkipReason::Tools(reason) => reason.clone(),
        }
    }
}
