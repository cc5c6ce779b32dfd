//! One turn of a conversation, as files write it: role, content, tool calls, reasoning, marks.

use super::tools;
use super::values::{is_blank, kind, text};
use crate::data::listing::list_some;
use crate::data::types::{Message, Reasoning};
use serde_json::{Map, Value};

/// Fields by which a turn is left out of the loss, or not: true or false, 1 or 0.
const MARKS: [&str; 6] = ["weight", "loss_weight", "train", "loss", "training", "trainable"];

/// Fields that hold what the assistant thinks before it speaks, the usual one first. Templates know the first four.
pub const REASONING: [&str; 6] =
    ["reasoning_content", "reasoning", "thinking", "thought", "thoughts", "thinking_content"];

/// ShareGPT's roles whose text is a call.
const CALLING_ROLES: [&str; 4] = ["function_call", "tool_call", "function-call", "tool_calls"];

pub(super) fn message(value: &Value) -> Result<Message, String> {
    let Value::Object(fields) = value else {
        return Err(format!(
            "it is {} where {{\"role\": …, \"content\": …}} is expected{}",
            kind(value),
            if value.is_array() { "; the list is nested one level too deep" } else { "" }
        ));
    };
    let written = role(fields)
        .ok_or_else(|| format!("it has no role (\"role\" or \"from\"); its keys are {}", keys(fields)))?;
    let is_call = CALLING_ROLES.contains(&written.trim().to_ascii_lowercase().as_str());
    let mut message = Message::new(known_role(written)?, "");
    message.context_only = is_context_only(fields)?;
    let content = fields.get("content").or_else(|| fields.get("value"));
    message.tool_calls = tools::calls(fields)?;
    if is_call {
        let Some(call) = content else { return Err(format!("\"{written}\" has no call in \"value\"")) };
        message.tool_calls.extend(tools::calls_of(call)?);
    }
    if !message.tool_calls.is_empty() && !message.is_assistant() {
        return Err(format!("only the assistant can call a tool, but the role is \"{written}\""));
    }
    message.reasoning = reasoning(fields)?;
    match content {
        Some(_) if is_call => {}
        Some(content) => add_content(&mut message, content)?,
        None if !message.is_blank() => {}
        None => {
            return Err(format!(
                "it has no content (\"content\" or \"value\"); its keys are {}",
                keys(fields)
            ));
        }
    }
    if message.role == "tool" {
        let own = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_string);
        (message.name, message.tool_call_id) = (own("name"), own("tool_call_id"));
    }
    Ok(message)
}

/// Fields of a turn that say something and are not read.
pub(super) fn unused_fields(turn: &Map<String, Value>) -> Vec<String> {
    let role = role(turn).and_then(|role| known_role(role).ok()).unwrap_or_default();
    let is_read = |key: &str| match key {
        "role" | "from" | "content" | "value" => true,
        "tool_calls" | "function_call" => true,
        "name" | "tool_call_id" => role == "tool",
        _ => REASONING.contains(&key) || MARKS.contains(&key),
    };
    let says = |value: &Value| !is_blank(value) && *value != Value::Bool(false);
    let unread = turn.iter().filter(|(key, value)| !is_read(key) && says(value));
    let mut unused: Vec<String> = unread.map(|(key, _)| key.clone()).collect();
    // Only the assistant's turns are learned; where someone marks another one as to be learned, that is not done.
    let asked = MARKS.iter().skip(2).filter(|key| turn.get(**key) == Some(&Value::Bool(true)));
    if !role.is_empty() && role != "assistant" {
        unused.extend(asked.map(|key| format!("{key} (of a turn that is not the assistant's)")));
    }
    unused
}

fn role(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("role").or_else(|| fields.get("from")).and_then(Value::as_str)
}

fn known_role(role: &str) -> Result<&'static str, String> {
    match role.trim().to_ascii_lowercase().as_str() {
        "system" | "developer" => Ok("system"),
        "user" | "human" => Ok("user"),
        "assistant" | "gpt" | "model" | "chatgpt" => Ok("assistant"),
        "tool" | "function" | "observation" | "ipython" => Ok("tool"),
        "tool_response" | "function_response" | "tool_result" => Ok("tool"),
        calling if CALLING_ROLES.contains(&calling) => Ok("assistant"),
        _ => Err(format!(
            "\"{role}\" is not a role; roles are system, user, assistant and tool (or human and gpt, function_call and observation)"
        )),
    }
}

fn keys(fields: &Map<String, Value>) -> String {
    list_some(&fields.keys().map(String::as_str).collect::<Vec<_>>())
}

fn is_context_only(fields: &Map<String, Value>) -> Result<bool, String> {
    let mut found: Option<(&str, bool)> = None;
    for mark in MARKS {
        let learned = match fields.get(mark) {
            None | Some(Value::Null) => continue,
            Some(Value::Bool(learned)) => *learned,
            Some(value) => {
                let number = match value {
                    Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(1.0),
                    Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(0.0),
                    Value::String(text) => text.trim().parse().ok(),
                    other => other.as_f64(),
                };
                match number {
                    Some(0.0) => false,
                    Some(1.0) => true,
                    _ => {
                        let shown = if value.is_array() || value.is_object() {
                            kind(value).to_string()
                        } else {
                            value.to_string()
                        };
                        return Err(format!(
                            "\"{mark}\" is {shown}; a turn is either learned (1 or true) or not (0 or false), so write one of these"
                        ));
                    }
                }
            }
        };
        match found {
            Some((other, was)) if was != learned => {
                return Err(format!("\"{other}\" and \"{mark}\" contradict each other; keep one of them"));
            }
            _ => found = Some((mark, learned)),
        }
    }
    Ok(found.is_some_and(|(_, learned)| !learned))
}

fn reasoning(fields: &Map<String, Value>) -> Result<Option<Reasoning>, String> {
    for field in REASONING {
        let Some(value) = fields.get(field).filter(|value| !is_blank(value)) else { continue };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(parts) => joined(parts, field)?,
            other => return Err(format!("\"{field}\" holds {} where text is expected", kind(other))),
        };
        return Ok(Some(Reasoning { field, text }));
    }
    Ok(None)
}

fn joined(parts: &[Value], field: &str) -> Result<String, String> {
    let texts = parts.iter().map(|part| {
        let text = part.as_str().or_else(|| part_text(part));
        text.ok_or_else(|| format!("\"{field}\" holds a list with {} where text is expected", kind(part)))
    });
    texts.collect()
}

/// Content is text, or parts of which each is text or reasoning.
fn add_content(message: &mut Message, content: &Value) -> Result<(), String> {
    let parts = match content {
        Value::Array(parts) => parts.as_slice(),
        Value::Object(fields) if fields.contains_key("type") => std::slice::from_ref(content),
        other => {
            message.content = text(other, "content")?;
            return Ok(());
        }
    };
    for part in parts {
        let part_type = part.get("type").and_then(Value::as_str);
        match (part, part_type, part_text(part)) {
            (Value::Null, _, _) => {}
            (Value::String(text), _, _) => message.content.push_str(text),
            (_, None | Some("text" | "input_text" | "output_text"), Some(text)) => {
                message.content.push_str(text);
            }
            (_, Some("reasoning" | "thinking" | "thought"), Some(text)) => {
                let field =
                    REASONING.into_iter().find(|field| Some(*field) == part_type).unwrap_or("reasoning");
                let empty = Reasoning { field, text: String::new() };
                message.reasoning.get_or_insert(empty).text.push_str(text);
            }
            (
                _,
                Some(kind @ ("text" | "input_text" | "output_text" | "reasoning" | "thinking" | "thought")),
                None,
            ) => {
                return Err(format!("its content has a part of type \"{kind}\" that holds no text"));
            }
            (_, Some(kind), _) => {
                return Err(format!(
                    "its content has a part of type \"{kind}\"; only text can be used, so remove the part or this row"
                ));
            }
            (Value::Object(fields), None, None) => {
                return Err(format!(
                    "its content has a part that is no text (its keys are {}); only text can be used",
                    keys(fields)
                ));
            }
            (other, None, _) => {
                return Err(format!("its content has {} as a part; only text can be used", kind(other)));
            }
        }
    }
    Ok(())
}

/// The text of a part, wherever exporters put it.
fn part_text(part: &Value) -> Option<&str> {
    let own = |key: &str| {
        let value = part.get(key)?;
        value.as_str().or_else(|| value.get("value").and_then(Value::as_str))
    };
    ["text", "value", "content", "reasoning", "thinking", "thought"].into_iter().find_map(own)
}
