//! Prompts that a model answers itself, with the answer that a reward may compare with.

use super::messages::{Preamble, messages_or_turn};
use super::values::{is_blank, text};
use crate::data::types::{Message, RowContent, Task};
use serde_json::Value;

/// A prompt, with the answer where there is one.
pub(super) fn task(
    Preamble { system, tools }: Preamble,
    prompt: &Value,
    answer: &Value,
) -> Result<RowContent, String> {
    let mut prompt = messages_or_turn(prompt, "prompt", "user")?;
    if let Some(system) = system.filter(|_| prompt.first().is_none_or(|message| message.role != "system")) {
        prompt.insert(0, Message::new("system", system));
    }
    let answer = if is_blank(answer) { None } else { Some(text(answer, "answer")?) };
    Ok(RowContent::Prompt(Task { prompt, tools, answer }))
}
