//! From rows to token ids with a loss mask.
//!
//! | row | model with a chat template | model without |
//! | --- | --- | --- |
//! | text | the text and the end token, all trained, in windows of `max_seq_length` | the same |
//! | prompt and completion | a user and an assistant turn | joined as they stand, completion and end token trained |
//! | conversation, Alpaca | rendered, the assistant's turns trained | the same in [the plain format](super::chat_template::PLAIN_TEMPLATE) |
//!
//! A text is always tokenised whole, and the trained part found by byte offsets: what the model sees
//! is what its tokenizer makes of the text, also where prompt and answer meet. A token with a trained
//! byte in it is trained. Rows longer than `max_seq_length` keep their beginning. Windows of a long
//! text overlap by one token, so that each token but the first is predicted once.

use super::dataset::{Dataset, Message, Row, RowContent};
use super::mask;
use super::tokenizer::{Tokenizer, Tokens};
use crate::error::{Error, Result};
use crate::recipe::Objective;
use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncodeOptions {
    pub objective: Objective,
    /// In tokens; at least 2.
    pub max_seq_length: usize,
    /// Train on every token of a conversation, not only on the assistant's.
    pub train_on_prompt: bool,
}

/// One sequence to learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub input_ids: Vec<u32>,
    /// Whether each token is a target. The first never is: nothing comes before it.
    pub loss_mask: Vec<bool>,
    /// Index into the rows of the data set.
    pub row: usize,
    /// Whether the row was longer than `max_seq_length`.
    pub truncated: bool,
}

impl Example {
    pub fn trained_tokens(&self) -> usize {
        self.loss_mask.iter().filter(|&&trained| trained).count()
    }
}

#[derive(Debug, Clone)]
pub struct Encoded {
    pub examples: Vec<Example>,
    /// Length in tokens of what each example was before it was cut.
    pub full_lengths: Vec<usize>,
    pub skipped: Vec<SkippedRow>,
    /// What was decided on the way, in sentences for the user.
    pub notes: Vec<String>,
}

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
    /// The chat template refuses the conversation.
    Template(String),
}

/// Encodes every row, in order. Rows with nothing to learn from are skipped, and said so.
///
/// # Errors
/// No row leaves a token to train on; the sentence says why. Or `max_seq_length` is below 2.
pub fn encode_dataset(dataset: &Dataset, tokenizer: &Tokenizer, options: &EncodeOptions) -> Result<Encoded> {
    if options.max_seq_length < 2 {
        return Err(Error::InvalidSetting {
            key: "train.max_seq_length".into(),
            value: options.max_seq_length.to_string(),
            expected: "it must be at least 2: one token to read and one to predict".into(),
        });
    }
    let mut encoded =
        Encoded { examples: Vec::new(), full_lengths: Vec::new(), skipped: Vec::new(), notes: Vec::new() };
    let mut split_into_turns = false;
    for (row, Row { content, .. }) in dataset.rows.iter().enumerate() {
        match encode_row(content, tokenizer, options)? {
            Ok(texts) => {
                split_into_turns |= texts.len() > 1;
                for text in texts {
                    text.append_examples(row, options, &mut encoded);
                }
            }
            Err(reason) => encoded.skipped.push(SkippedRow { row, reason }),
        }
    }
    if encoded.examples.is_empty() {
        return Err(nothing_to_train(dataset, &encoded.skipped, options));
    }
    encoded.notes = notes(dataset, tokenizer, &encoded, split_into_turns);
    Ok(encoded)
}

/// A row, or a part of one, as text and tokens. SFT rows are cut to `max_seq_length` already.
pub(super) struct EncodedText {
    pub text: String,
    pub tokens: Tokens,
    pub trained: Vec<bool>,
    /// Tokens before the cut.
    pub full_length: usize,
    /// Raw text, to be learned in windows instead of being cut.
    pub in_windows: bool,
}

pub(super) fn encode_row(
    content: &RowContent,
    tokenizer: &Tokenizer,
    options: &EncodeOptions,
) -> Result<Result<Vec<EncodedText>, SkipReason>> {
    if content.is_blank() {
        return Ok(Err(SkipReason::Empty));
    }
    let all = options.objective == Objective::Text || options.train_on_prompt;
    let encoder = RowEncoder { tokenizer, options, all };
    match content {
        RowContent::Text(text) => Ok(Ok(vec![encoder.document(text.clone(), true)?])),
        RowContent::Pair { system, prompt, completion } if tokenizer.has_chat_template() => {
            let mut messages: Vec<Message> = system.iter().map(|s| Message::new("system", s)).collect();
            messages.push(Message::new("user", prompt));
            let prompt_messages = messages.len();
            messages.push(Message::new("assistant", completion));
            encoder.chat(&messages, prompt_messages)
        }
        RowContent::Pair { system, prompt, completion } => {
            let before = match system {
                Some(system) => format!("{system}\n\n{prompt}"),
                None => prompt.clone(),
            };
            let start = before.len();
            encoder.pair(before + completion, start)
        }
        RowContent::Chat { messages, prompt_messages } => encoder.chat(messages, *prompt_messages),
    }
}

struct RowEncoder<'a> {
    tokenizer: &'a Tokenizer,
    options: &'a EncodeOptions,
    /// Every token is trained, prompts too.
    all: bool,
}

type RowResult = Result<Result<Vec<EncodedText>, SkipReason>>;

impl RowEncoder<'_> {
    /// Everything trained, in windows.
    fn document(&self, text: String, with_ends: bool) -> Result<EncodedText> {
        let mut tokens = self.tokenizer.tokens(&text)?;
        if with_ends {
            self.add_ends(&mut tokens, text.len());
        }
        let everything = 0..text.len();
        Ok(self.finish(text, tokens, &[everything], true))
    }

    /// A prompt and, from byte `start`, its completion.
    fn pair(&self, text: String, start: usize) -> RowResult {
        if self.options.objective == Objective::Text {
            return Ok(Ok(vec![self.document(text, true)?]));
        }
        let mut tokens = self.tokenizer.tokens(&text)?;
        self.add_ends(&mut tokens, text.len());
        let trained = if self.all { 0 } else { start }..text.len();
        Ok(some_trained(vec![self.finish(text, tokens, &[trained], false)]))
    }

    fn chat(&self, messages: &[Message], prompt_messages: usize) -> RowResult {
        let template = self.tokenizer.template();
        let folded = template.fold_system(messages);
        let prompt_messages = prompt_messages.saturating_sub(messages.len() - folded.len());
        let answers: Vec<usize> =
            (prompt_messages..folded.len()).filter(|&i| folded[i].is_assistant()).collect();
        // What comes after the last answer teaches nothing.
        let used = match answers.last() {
            _ if self.all => folded.len(),
            Some(last) => last + 1,
            None => return Ok(Err(SkipReason::NoAssistantTurn)),
        };
        let text = match template.render(&folded[..used], false) {
            Ok(text) => text,
            Err(Error::ChatTemplate { reason }) => return Ok(Err(SkipReason::Template(reason))),
            Err(e) => return Err(e),
        };
        if self.options.objective == Objective::Text {
            return Ok(Ok(vec![self.document(text, !self.tokenizer.has_chat_template())?]));
        }
        let tokens = self.chat_tokens(&text)?;
        if self.all {
            let everything = 0..text.len();
            return Ok(some_trained(vec![self.finish(text, tokens, &[everything], false)]));
        }
        // Answers beyond the cut need no rendering, which keeps a very long conversation cheap.
        let kept_bytes = tokens.spans.get(self.options.max_seq_length).map_or(text.len(), |span| span.start);
        let mut trained = Vec::new();
        for &index in &answers {
            let turn = match mask::turn(template, &folded, index) {
                Ok(turn) => turn,
                Err(Error::ChatTemplate { reason }) => return Ok(Err(SkipReason::Template(reason))),
                Err(e) => return Err(e),
            };
            if !text.starts_with(&turn.text) {
                return self.turn_by_turn(&folded, &answers);
            }
            if turn.start >= kept_bytes {
                break;
            }
            trained.push(turn.start..turn.text.len());
        }
        Ok(some_trained(vec![self.finish(text, tokens, &trained, false)]))
    }

    /// For templates that render a turn otherwise once it is past (reasoning that is taken out, say):
    /// a text for each answer, as the model sees it when it is to give that answer.
    fn turn_by_turn(&self, messages: &[Message], answers: &[usize]) -> RowResult {
        let mut texts = Vec::new();
        for &index in answers {
            let turn = match mask::turn(self.tokenizer.template(), messages, index) {
                Ok(turn) => turn,
                Err(Error::ChatTemplate { reason }) => return Ok(Err(SkipReason::Template(reason))),
                Err(e) => return Err(e),
            };
            let tokens = self.chat_tokens(&turn.text)?;
            let trained = turn.start..turn.text.len();
            let text = self.finish(turn.text, tokens, &[trained], false);
            let is_last = !text.trained.contains(&true);
            texts.push(text);
            // Later prompts are longer still.
            if is_last {
                break;
            }
        }
        Ok(some_trained(texts))
    }

    fn chat_tokens(&self, text: &str) -> Result<Tokens> {
        let mut tokens = self.tokenizer.tokens(text)?;
        if !self.tokenizer.has_chat_template() {
            self.add_prefix(&mut tokens);
        }
        Ok(tokens)
    }

    fn add_prefix(&self, tokens: &mut Tokens) {
        if let Some(id) = self.tokenizer.prefix_id() {
            tokens.ids.insert(0, id);
            tokens.spans.insert(0, 0..0);
        }
    }

    fn add_ends(&self, tokens: &mut Tokens, text_length: usize) {
        self.add_prefix(tokens);
        if let Some(id) = self.tokenizer.eos_token_id()
            && tokens.ids.last() != Some(&id)
        {
            tokens.ids.push(id);
            // Beyond the text: the end token belongs to what is trained last.
            tokens.spans.push(text_length..text_length + 1);
        }
    }

    fn finish(&self, text: String, mut tokens: Tokens, trained: &[Range<usize>], in_windows: bool) -> EncodedText {
        let full_length = tokens.ids.len();
        if !in_windows {
            tokens.ids.truncate(self.options.max_seq_length);
            tokens.spans.truncate(self.options.max_seq_length);
        }
        let mut mask = mark(&tokens.spans, trained, text.len());
        if let Some(first) = mask.first_mut() {
            *first = false;
        }
        EncodedText { text, tokens, trained: mask, full_length, in_windows }
    }
}

/// Which tokens have a byte in one of the `trained` ranges. Both are in order.
fn mark(spans: &[Range<usize>], trained: &[Range<usize>], text_length: usize) -> Vec<bool> {
    let mut ranges = trained.iter().peekable();
    spans
        .iter()
        .map(|span| {
            while ranges.next_if(|range| range.end <= span.start && range.end < text_length).is_some() {}
            ranges.peek().is_some_and(|range| {
                let is_end_token = span.start == text_length && range.end == text_length;
                let is_inside = span.start < range.end && span.end > range.start;
                let is_point_inside = span.is_empty() && range.contains(&span.start);
                is_end_token || is_inside || is_point_inside
            })
        })
        .collect()
}

fn some_trained(texts: Vec<EncodedText>) -> Result<Vec<EncodedText>, SkipReason> {
    let tokens = texts.iter().map(|text| text.full_length).max().unwrap_or(0);
    let kept: Vec<EncodedText> = texts.into_iter().filter(|text| text.trained.contains(&true)).collect();
    if kept.is_empty() { Err(SkipReason::PromptTooLong { tokens }) } else { Ok(kept) }
}

impl EncodedText {
    /// The token ranges of this text's examples.
    pub(super) fn windows(&self, max_seq_length: usize) -> Vec<Range<usize>> {
        let length = self.tokens.ids.len();
        let mut windows = Vec::new();
        let mut start = 0;
        loop {
            let end = length.min(start + max_seq_length);
            windows.push(start..end);
            if end == length {
                return windows;
            }
            start = end - 1;
        }
    }

    fn append_examples(self, row: usize, options: &EncodeOptions, encoded: &mut Encoded) {
        for window in self.windows(options.max_seq_length) {
            let mut loss_mask = self.trained[window.clone()].to_vec();
            if let Some(first) = loss_mask.first_mut() {
                *first = false;
            }
            let length = if self.in_windows { window.len() } else { self.full_length };
            encoded.full_lengths.push(length);
            encoded.examples.push(Example {
                input_ids: self.tokens.ids[window].to_vec(),
                loss_mask,
                row,
                truncated: !self.in_windows && self.full_length > options.max_seq_length,
            });
        }
    }
}

fn nothing_to_train(dataset: &Dataset, skipped: &[SkippedRow], options: &EncodeOptions) -> Error {
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

fn notes(dataset: &Dataset, tokenizer: &Tokenizer, encoded: &Encoded, split_into_turns: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let chats = || dataset.rows.iter().filter(|row| matches!(row.content, RowContent::Chat { .. }));
    let has_pairs = dataset.rows.iter().any(|row| matches!(row.content, RowContent::Pair { .. }));
    let has_system = dataset.rows.iter().any(|row| match &row.content {
        RowContent::Chat { messages, .. } => messages.first().is_some_and(|m| m.role == "system"),
        RowContent::Pair { system, .. } => system.is_some(),
        RowContent::Text(_) => false,
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
            if chats().next().is_some() {
                notes.push("the model has no chat template: conversations are written in a plain format (### User: … ### Assistant: …)".into());
            }
            if has_pairs {
                notes.push("the model has no chat template: prompt and completion are joined as they stand".into());
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
        notes.push(format!("{count} rows are left out because the chat template {reason} (first on line {line})"));
    }
    let silent: Vec<usize> = encoded
        .skipped
        .iter()
        .filter(|s| s.reason == SkipReason::NoAssistantTurn)
        .map(|s| dataset.rows[s.row].line)
        .collect();
    if let Some(line) = silent.first() {
        notes.push(format!("{} rows are left out because the assistant says nothing (first on line {line})", silent.len()));
    }
    notes
}
