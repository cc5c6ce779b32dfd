//! Texts, pairs and conversations as tokens, and which of them are trained.

use super::mask::{mark, turn};
use super::options::EncodeOptions;
use super::skipped::SkipReason;
use super::text::{EncodedText, RowError, RowTexts};
use super::tokenizer::{Tokenizer, Tokens};
use super::tools;
use crate::data::types::{Message, Task};
use crate::error::{Error, Result};
use crate::recipe::Objective;
use serde_json::Value;
use std::ops::Range;

/// Encodes the texts of one row.
pub(super) struct RowEncoder<'a> {
    pub tokenizer: &'a Tokenizer,
    pub options: &'a EncodeOptions,
    /// Every token is trained, prompts too.
    pub all: bool,
}

impl RowEncoder<'_> {
    /// Everything trained, in windows.
    pub fn document(&self, text: String, with_ends: bool) -> Result<EncodedText, RowError> {
        let mut tokens = self.tokenizer.tokens(&text)?;
        if with_ends {
            self.add_ends(&mut tokens, text.len());
        } else if let Some(end) = self.tokenizer.answer_end() {
            tokens.ids.push(end);
            tokens.spans.push(text.len()..text.len() + 1);
        }
        let full_length = tokens.ids.len();
        // One token alone has nothing before it and nothing after it.
        if full_length < 2 {
            return Err(SkipReason::Empty.into());
        }
        let mut trained = vec![true; full_length];
        trained[0] = false;
        Ok(EncodedText { text, tokens, trained, full_length, in_windows: true, verdict: None })
    }

    /// The text alone, nothing trained, as the tokenizer itself encodes and cuts it.
    pub fn plain(&self, text: String) -> Result<EncodedText, RowError> {
        let (mut tokens, length) = self.kept_tokens(&text)?;
        let prefix = self.add_prefix(&mut tokens);
        let suffix = self.tokenizer.suffix_ids()?;
        let kept = self.options.max_seq_length.saturating_sub(suffix.len());
        tokens.ids.truncate(kept);
        tokens.spans.truncate(kept);
        tokens.spans.extend(suffix.iter().map(|_| text.len()..text.len()));
        let full_length = length + prefix + suffix.len();
        tokens.ids.extend(suffix);
        let trained = vec![false; tokens.ids.len()];
        Ok(EncodedText { text, tokens, trained, full_length, in_windows: false, verdict: None })
    }

    /// A prompt and, from byte `start`, its completion.
    pub fn pair(&self, text: String, start: usize) -> RowTexts {
        if self.options.objective == Objective::Text {
            return Ok(vec![self.document(text, true)?]);
        }
        let (mut tokens, mut length) = self.kept_tokens(&text)?;
        length += self.add_ends(&mut tokens, text.len());
        let trained = if self.all { 0 } else { start }..text.len();
        self.some_trained(vec![self.cut(text, tokens, &[trained], length)])
    }

    pub fn chat(&self, messages: &[Message], prompt_messages: usize, tools: &[Value]) -> RowTexts {
        let template = self.tokenizer.template();
        let folded = template.fold_system(messages);
        let prompt_messages = prompt_messages.saturating_sub(messages.len() - folded.len());
        let mut answers: Vec<usize> =
            (prompt_messages..folded.len()).filter(|&i| folded[i].is_assistant()).collect();
        if answers.is_empty() && !self.all {
            return Err(SkipReason::NoAssistantTurn.into());
        }
        answers.retain(|&i| !folded[i].context_only);
        if answers.is_empty() && !self.all {
            return Err(SkipReason::ContextOnly.into());
        }
        answers.retain(|&i| !self.is_left_blank(&folded[i]));
        // What comes after the last answer teaches nothing.
        let used = match answers.last() {
            _ if self.all => folded.len(),
            Some(last) => last + 1,
            None => return Err(SkipReason::Empty.into()),
        };
        if let Some(reason) = tools::unwritten(template, &folded[..used], tools) {
            return Err(SkipReason::Tools(reason).into());
        }
        let text = match template.render_with_tools(&folded[..used], tools, false) {
            Ok(text) => text,
            Err(error) => return Err(refused(error)),
        };
        if self.all {
            return self.all_but_context(text, &folded, tools);
        }
        let (tokens, length) = self.conversation_tokens(&text)?;
        // Answers beyond the cut need no rendering, which keeps a very long conversation cheap.
        let kept_bytes = tokens.spans.get(self.options.max_seq_length).map_or(text.len(), |span| span.start);
        let mut trained = Vec::new();
        for &index in &answers {
            let turn = match turn(template, &folded, index, tools) {
                Ok(turn) => turn,
                Err(error) => return Err(refused(error)),
            };
            if !text.starts_with(&turn.text) {
                return self.turn_by_turn(&folded, &answers, tools);
            }
            if turn.start >= kept_bytes {
                break;
            }
            trained.push(turn.start..turn.text.len());
        }
        self.some_trained(vec![self.cut(text, tokens, &trained, length)])
    }

    /// Whether nothing is left of a turn that only thinks, because the template does not write its thoughts.
    fn is_left_blank(&self, message: &Message) -> bool {
        message.reasoning.is_some()
            && Message { reasoning: None, ..message.clone() }.is_blank()
            && self.tokenizer.template().reasoning_field().is_none()
    }

    /// A whole conversation trained, but for the turns that the file marks as context.
    fn all_but_context(&self, text: String, messages: &[Message], tools: &[Value]) -> RowTexts {
        let mut context: Vec<Range<usize>> = Vec::new();
        for index in (0..messages.len()).filter(|&i| messages[i].context_only) {
            let up_to = |end: usize| match end {
                0 => Some(0),
                _ => {
                    let before = self.tokenizer.template().render_with_tools(&messages[..end], tools, false);
                    before.ok().filter(|before| text.starts_with(before)).map(|before| before.len())
                }
            };
            let (Some(start), Some(end)) = (up_to(index), up_to(index + 1)) else {
                let reason = "writes a past turn otherwise than a last one, so that a turn which is marked to be left out of the \
                              loss cannot be told from the others";
                return Err(SkipReason::Template(reason.into()).into());
            };
            context.push(start..end);
        }
        let mut texts = if self.options.objective == Objective::Text {
            vec![self.document(text, !self.tokenizer.has_chat_template())?]
        } else {
            let (tokens, length) = match messages.last().is_some_and(Message::is_assistant) {
                true => self.conversation_tokens(&text)?,
                false => self.chat_tokens(&text)?,
            };
            let everything = 0..text.len();
            vec![self.cut(text, tokens, &[everything], length)]
        };
        for text in &mut texts {
            for (trained, span) in text.trained.iter_mut().zip(&text.tokens.spans) {
                *trained &= !context.iter().any(|turn| span.start < turn.end && turn.start < span.end);
            }
        }
        if !context.is_empty() && texts.iter().all(|text| !text.trained.contains(&true)) {
            return Err(SkipReason::ContextOnly.into());
        }
        self.some_trained(texts)
    }

    /// For templates that render a turn otherwise once it is past (reasoning that is taken out, say):
    /// a text for each answer, as the model sees it when it is to give that answer.
    fn turn_by_turn(&self, messages: &[Message], answers: &[usize], tools: &[Value]) -> RowTexts {
        let mut texts = Vec::new();
        for &index in answers {
            let turn = match turn(self.tokenizer.template(), messages, index, tools) {
                Ok(turn) => turn,
                Err(error) => return Err(refused(error)),
            };
            let (tokens, length) = self.conversation_tokens(&turn.text)?;
            let trained = turn.start..turn.text.len();
            let text = self.cut(turn.text, tokens, &[trained], length);
            let is_last = !text.trained.contains(&true);
            texts.push(text);
            // Later prompts are longer still.
            if is_last {
                break;
            }
        }
        self.some_trained(texts)
    }

    /// A conversation up to where the assistant's answer begins. It is not cut: a model that is to answer must see it all.
    pub fn prompt(&self, Task { prompt, tools, .. }: &Task) -> RowTexts {
        let template = self.tokenizer.template();
        let messages = template.fold_system(prompt);
        if let Some(reason) = tools::unwritten(template, &messages, tools) {
            return Err(SkipReason::Tools(reason).into());
        }
        let text = match template.render_with_tools(&messages, tools, true) {
            Ok(text) => text,
            Err(error) => return Err(refused(error)),
        };
        let (tokens, full_length) = self.chat_tokens(&text)?;
        // An answer needs room for one token at least.
        if full_length >= self.options.max_seq_length {
            return Err(SkipReason::PromptTooLong { tokens: full_length }.into());
        }
        let trained = vec![false; tokens.ids.len()];
        Ok(vec![EncodedText { text, tokens, trained, full_length, in_windows: false, verdict: None }])
    }

    /// The tokens of a conversation that ends with an answer, and with the end token where its template ends no answer.
    fn conversation_tokens(&self, text: &str) -> Result<(Tokens, usize)> {
        let (mut tokens, length) = self.chat_tokens(text)?;
        let Some(end) = self.tokenizer.answer_end() else { return Ok((tokens, length)) };
        tokens.ids.push(end);
        // Beyond the text: it belongs to what is trained last.
        tokens.spans.push(text.len()..text.len() + 1);
        Ok((tokens, length + 1))
    }

    fn chat_tokens(&self, text: &str) -> Result<(Tokens, usize)> {
        let (mut tokens, mut length) = self.kept_tokens(text)?;
        if !self.tokenizer.has_chat_template() {
            length += self.add_prefix(&mut tokens);
        }
        Ok((tokens, length))
    }

    /// At least the tokens that are kept of `text`, and how many tokens it has. Of a text of
    /// megabytes only the beginning is tokenised, well beyond what is kept, and the count estimated.
    fn kept_tokens(&self, text: &str) -> Result<(Tokens, usize)> {
        const LONG_TEXT: usize = 1 << 20;
        const BYTES_PER_TOKEN: usize = 64;
        let kept = self.options.max_seq_length;
        let mut end = kept.saturating_mul(BYTES_PER_TOKEN);
        while text.len() > LONG_TEXT && end < text.len() / 2 {
            let head = &text[..text.floor_char_boundary(end)];
            let tokens = self.tokenizer.tokens(head)?;
            if tokens.ids.len() >= 2 * kept {
                let tokens_per_byte = tokens.ids.len() as f64 / head.len() as f64;
                return Ok((tokens, (tokens_per_byte * text.len() as f64) as usize));
            }
            end *= 2;
        }
        let tokens = self.tokenizer.tokens(text)?;
        let length = tokens.ids.len();
        Ok((tokens, length))
    }

    /// Returns how many tokens were added, as [`RowEncoder::add_ends`] does.
    fn add_prefix(&self, tokens: &mut Tokens) -> usize {
        let Some(id) = self.tokenizer.prefix_id() else { return 0 };
        tokens.ids.insert(0, id);
        tokens.spans.insert(0, 0..0);
        1
    }

    fn add_ends(&self, tokens: &mut Tokens, text_length: usize) -> usize {
        let added = self.add_prefix(tokens);
        match self.tokenizer.eos_token_id() {
            Some(id) if tokens.ids.last() != Some(&id) => {
                tokens.ids.push(id);
                // Beyond the text: the end token belongs to what is trained last.
                tokens.spans.push(text_length..text_length + 1);
                added + 1
            }
            _ => added,
        }
    }

    /// The texts in which something is left to train on; where none is left, why: the cut, or a template without the answers.
    fn some_trained(&self, texts: Vec<EncodedText>) -> RowTexts {
        let tokens = texts.iter().map(|text| text.full_length).max().unwrap_or(0);
        let kept: Vec<EncodedText> = texts.into_iter().filter(|text| text.trained.contains(&true)).collect();
        match kept.is_empty() {
            true if tokens >= self.options.max_seq_length => Err(SkipReason::PromptTooLong { tokens }.into()),
            true => Err(SkipReason::Template("writes nothing of what the assistant says".into()).into()),
            false => Ok(kept),
        }
    }

    /// The beginning, as long as `max_seq_length`, of a text that has `full_length` tokens.
    fn cut(
        &self,
        text: String,
        mut tokens: Tokens,
        trained: &[Range<usize>],
        full_length: usize,
    ) -> EncodedText {
        tokens.ids.truncate(self.options.max_seq_length);
        tokens.spans.truncate(self.options.max_seq_length);
        let trained = mark(&tokens.spans, trained, text.len());
        EncodedText { text, tokens, trained, full_length, in_windows: false, verdict: None }
    }
}

/// A conversation that the template cannot render is skipped; any other error is one.
fn refused(error: Error) -> RowError {
    match error {
        Error::ChatTemplate { reason } => SkipReason::Template(reason).into(),
        other => other.into(),
    }
}
