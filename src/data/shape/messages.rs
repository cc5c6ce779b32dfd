//! Values of a row as messages and as conversations; each error says what was found instead.

use super::turn::message;
use super::values::{kind, text};
use crate::data::types::{Message, RowContent};
use serde_json::Value;

/// What a row says of a conversation beside its turns.
#[derive(Debug, Clone, Default)]
pub(super) struct Preamble {
    pub system: Option<String>,
    pub tools: Vec<Value>,
}

/// A conversation of `prompt` and `rest`, with the system message first unless it has one.
pub(super) fn chat(
    Preamble { system, tools }: Preamble,
    prompt: Vec<Message>,
    rest: Vec<Message>,
) -> Result<RowContent, String> {
    let mut all = prompt;
    let mut prompt_messages = all.len();
    all.extend(rest);
    if let Some(system) = system
        && all.first().is_none_or(|m| m.role != "system")
    {
        all.insert(0, Message::new("system", system));
        prompt_messages += 1;
    }
    Ok(RowContent::Chat { messages: all, prompt_messages, tools })
}

/// A prompt and its completion, from the columns of those names.
pub(super) fn prompt_completion(
    preamble: Preamble,
    (prompt_column, prompt): (&str, &Value),
    (completion_column, completion): (&str, &Value),
) -> Result<RowContent, String> {
    if is_message_list(prompt) || is_message_list(completion) || !preamble.tools.is_empty() {
        return chat(
            preamble,
            messages_or_turn(prompt, prompt_column, "user")?,
            messages_or_turn(completion, completion_column, "assistant")?,
        );
    }
    let (prompt, completion) = (text(prompt, prompt_column)?, text(completion, completion_column)?);
    Ok(RowContent::Pair { system: preamble.system, prompt, completion })
}

pub(super) fn is_message_list(value: &Value) -> bool {
    matches!(value, Value::Array(_))
}

pub(super) fn messages_or_turn(value: &Value, column: &str, role: &str) -> Result<Vec<Message>, String> {
    match value {
        Value::Array(_) => messages(value, column),
        other => Ok(vec![Message::new(role, text(other, column)?)]),
    }
}

pub(super) fn messages(value: &Value, column: &str) -> Result<Vec<Message>, String> {
    let list = match value {
        Value::Array(list) => list,
        Value::Null => return Ok(Vec::new()),
        // A table's cell can hold a conversation only as JSON text.
        Value::String(json) if json.trim().is_empty() => return Ok(Vec::new()),
        Value::String(json) => {
            let parsed: Value = serde_json::from_str(json)
                .map_err(|e| format!("\"{column}\" holds text that is not a JSON list of messages ({e})"))?;
            return match parsed {
                Value::Array(_) => messages(&parsed, column),
                other => {
                    Err(format!("\"{column}\" holds {} where a list of messages is expected", kind(&other)))
                }
            };
        }
        other => {
            return Err(format!("\"{column}\" holds {} where a list of messages is expected", kind(other)));
        }
    };
    list.iter()
        .enumerate()
        .map(|(i, m)| message(m).map_err(|reason| format!("\"{column}\", message {}: {reason}", i + 1)))
        .collect()
}
