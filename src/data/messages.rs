//! Values of a row as text, as messages and as conversations; each error says what was found instead.

use super::dataset::{Message, RowContent};
use super::detect::list_some;
use serde_json::Value;

/// A conversation of `prompt` and `rest`, with the system message first unless it has one.
pub(super) fn chat(
    system: Option<String>,
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
    Ok(RowContent::Chat { messages: all, prompt_messages })
}

/// A prompt and its completion, from the columns of those names.
pub(super) fn prompt_completion(
    system: Option<String>,
    (prompt_column, prompt): (&str, &Value),
    (completion_column, completion): (&str, &Value),
) -> Result<RowContent, String> {
    if is_message_list(prompt) || is_message_list(completion) {
        return chat(
            system,
            messages_or_turn(prompt, prompt_column, "user")?,
            messages_or_turn(completion, completion_column, "assistant")?,
        );
    }
    let (prompt, completion) = (text(prompt, prompt_column)?, text(completion, completion_column)?);
    Ok(RowContent::Pair { system, prompt, completion })
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

fn message(value: &Value) -> Result<Message, String> {
    let Value::Object(fields) = value else {
        return Err(format!(
            "it is {} where {{\"role\": …, \"content\": …}} is expected{}",
            kind(value),
            if value.is_array() { "; the list is nested one level too deep" } else { "" }
        ));
    };
    let names = || list_some(&fields.keys().map(String::as_str).collect::<Vec<_>>());
    let role = fields.get("role").or_else(|| fields.get("from")).and_then(Value::as_str);
    let Some(role) = role else {
        return Err(format!("it has no role (\"role\" or \"from\"); its keys are {}", names()));
    };
    let known = match role.trim().to_ascii_lowercase().as_str() {
        "system" | "developer" => "system",
        "user" | "human" => "user",
        "assistant" | "gpt" | "model" | "chatgpt" => "assistant",
        "tool" | "function" | "observation" => "tool",
        _ => {
            return Err(format!(
                "\"{role}\" is not a role; roles are system, user, assistant and tool (or human and gpt)"
            ));
        }
    };
    let Some(content) = fields.get("content").or_else(|| fields.get("value")) else {
        return Err(format!("it has no content (\"content\" or \"value\"); its keys are {}", names()));
    };
    let content = match content {
        Value::Null if fields.get("tool_calls").is_some_and(|calls| !calls.is_null()) => {
            return Err("it calls a tool and says nothing; tool calls are not available yet".into());
        }
        Value::Array(parts) => text_parts(parts)?,
        other => text(other, "content")?,
    };
    Ok(Message::new(known, content))
}

/// Content written as a list of parts, of which only text can be used.
fn text_parts(parts: &[Value]) -> Result<String, String> {
    let mut joined = String::new();
    for part in parts {
        match (part, part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (Value::String(text), _, _) => joined.push_str(text),
            (_, None | Some("text"), Some(text)) => joined.push_str(text),
            (_, Some(kind), _) => {
                return Err(format!("its content has a part of type \"{kind}\"; only text can be used"));
            }
            _ => return Err("its content has a part without text".into()),
        }
    }
    Ok(joined)
}

pub(super) fn text(value: &Value, column: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(format!("\"{column}\" holds {} where text is expected", kind(other))),
    }
}

pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
