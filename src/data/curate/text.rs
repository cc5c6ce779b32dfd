//! A row's words, whatever its shape.

use crate::data::types::{Message, RowContent};
use serde_json::Value;

/// Beyond this many bytes a row tells nothing new of itself.
const LOOKED_AT: usize = 20_000;
const EXCERPT: usize = 160;

/// All texts of a row, prompt first, a line each.
pub fn of_row(content: &RowContent) -> String {
    let mut joined = String::new();
    each(content, &mut |text| {
        if joined.len() < LOOKED_AT && !text.is_empty() {
            if !joined.is_empty() {
                joined.push('\n');
            }
            joined.push_str(&text[..text.floor_char_boundary(LOOKED_AT)]);
        }
    });
    joined
}

/// Characters of all texts of a row.
pub fn length(content: &RowContent) -> usize {
    let mut length = 0;
    each(content, &mut |text| length += text.chars().count());
    length
}

/// About so many characters of `text` from somewhat before byte `at`, on one line.
pub fn excerpt(text: &str, at: usize) -> String {
    let start = text.floor_char_boundary(at.saturating_sub(EXCERPT / 2));
    let shown: String = text[start..].chars().take(EXCERPT).collect();
    let cut = start + shown.len() < text.len();
    let line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}{line}{}", if start > 0 { "… " } else { "" }, if cut { " …" } else { "" })
}

/// Each text of a row, whole.
pub fn each(content: &RowContent, on_text: &mut impl FnMut(&str)) {
    match content {
        RowContent::Text(text) | RowContent::Labelled { text, .. } => on_text(text),
        RowContent::Pair { system, prompt, completion } => {
            system.iter().for_each(|system| on_text(system));
            on_text(prompt);
            on_text(completion);
        }
        RowContent::Chat { messages, .. } => messages.iter().for_each(|message| of_message(message, on_text)),
        RowContent::Preference { chosen, rejected } => {
            each(chosen, on_text);
            each(rejected, on_text);
        }
        RowContent::Unpaired { answer, .. } => each(answer, on_text),
        RowContent::Sentences { texts, .. } => texts.iter().for_each(|text| on_text(text)),
        RowContent::Prompt(task) => {
            task.prompt.iter().for_each(|message| of_message(message, on_text));
            task.answer.iter().for_each(|answer| on_text(answer));
        }
    }
}

/// Every text of a row, to be written to.
pub fn each_mut(content: &mut RowContent, on_text: &mut impl FnMut(&mut String)) {
    match content {
        RowContent::Text(text) | RowContent::Labelled { text, .. } => on_text(text),
        RowContent::Pair { system, prompt, completion } => {
            system.iter_mut().for_each(&mut *on_text);
            on_text(prompt);
            on_text(completion);
        }
        RowContent::Chat { messages, .. } => {
            messages.iter_mut().for_each(|message| of_message_mut(message, on_text));
        }
        RowContent::Preference { chosen, rejected } => {
            each_mut(chosen, on_text);
            each_mut(rejected, on_text);
        }
        RowContent::Unpaired { answer, .. } => each_mut(answer, on_text),
        RowContent::Sentences { texts, .. } => texts.iter_mut().for_each(on_text),
        RowContent::Prompt(task) => {
            task.prompt.iter_mut().for_each(|message| of_message_mut(message, on_text));
            task.answer.iter_mut().for_each(on_text);
        }
    }
}

/// What a turn thinks, says and calls.
fn of_message(message: &Message, on_text: &mut impl FnMut(&str)) {
    message.reasoning.iter().for_each(|reasoning| on_text(&reasoning.text));
    on_text(&message.content);
    message.tool_calls.iter().for_each(|call| on_text(&call.to_string()));
}

fn of_message_mut(message: &mut Message, on_text: &mut impl FnMut(&mut String)) {
    message.reasoning.iter_mut().for_each(|reasoning| on_text(&mut reasoning.text));
    on_text(&mut message.content);
    message.tool_calls.iter_mut().for_each(|call| strings(call, on_text));
}

/// Each string in a JSON value, names of fields aside.
fn strings(value: &mut Value, on_text: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => on_text(text),
        Value::Array(values) => values.iter_mut().for_each(|value| strings(value, on_text)),
        Value::Object(fields) => fields.values_mut().for_each(|value| strings(value, on_text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
