//! Which part of a rendered conversation the assistant says.
//!
//! Found by rendering, not by searching for a marker in the tokens: the conversation up to an
//! assistant's turn with the generation prompt, against the conversation up to and with that turn.
//! What the second has beyond the first is what the model will have to write, its end-of-turn token
//! included.

use super::template::ChatTemplate;
use crate::data::types::Message;
use crate::error::Result;
use serde_json::Value;
use std::ops::Range;

/// A conversation rendered as far as one assistant's turn.
pub(super) struct Turn {
    pub text: String,
    /// Byte at which the assistant begins; the turn ends with the text.
    pub start: usize,
}

/// Renders `messages[..=index]`, whose last message is an assistant's.
pub(super) fn turn(
    template: &ChatTemplate,
    messages: &[Message],
    index: usize,
    tools: &[Value],
) -> Result<Turn> {
    let text = template.render_with_tools(&messages[..=index], tools, false)?;
    // Before a first turn there is nothing to render; most templates would fail on it.
    let prompt =
        if index == 0 { None } else { template.render_with_tools(&messages[..index], tools, true).ok() };
    let start = match prompt {
        Some(prompt) if text.starts_with(&prompt) => prompt.len(),
        _ => start_by_other_words(template, &messages[..=index], &text, tools)?,
    };
    Ok(Turn { text, start })
}

/// Which tokens have a byte in one of the `trained` ranges, save the first. Both are in order.
/// A span that begins at `text_length` is the end token's.
pub(super) fn mark(spans: &[Range<usize>], trained: &[Range<usize>], text_length: usize) -> Vec<bool> {
    let mut ranges = trained.iter().peekable();
    let mut mask: Vec<bool> = spans
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
        .collect();
    if let Some(first) = mask.first_mut() {
        *first = false;
    }
    mask
}

/// For templates whose generation prompt is not how an assistant's turn begins: where the text
/// changes if the assistant says something else.
fn start_by_other_words(
    template: &ChatTemplate,
    messages: &[Message],
    text: &str,
    tools: &[Value],
) -> Result<usize> {
    let mut other = messages.to_vec();
    let Some(last) = other.last_mut() else { return Ok(0) };
    let word = if last.content.trim_start().starts_with('A') { "B" } else { "A" };
    // A call may be written in place of words.
    *last = Message::new(last.role.clone(), word);
    let other = template.render_with_tools(&other, tools, false)?;
    Ok(text.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum())
}
