//! Tools: which a row lists, and which its turns call.
//!
//! Templates read what transformers gives them: `{"type": "function", "function": {"name", "description", "parameters"}}` in
//! `tools`, and `{"type": "function", "function": {"name", "arguments"}}`, with arguments as an object, in a turn's `tool_calls`.

use super::values::{is_blank, kind};
use serde_json::{Map, Value, json};

/// The tools that a row lists: objects, or JSON text of them.
pub(super) fn listed(value: &Value, column: &str) -> Result<Vec<Value>, String> {
    let unreadable = |found: &str| {
        format!(
            "\"{column}\" holds {found} where a list of tools ({{\"name\": …, \"parameters\": …}}) is expected"
        )
    };
    match value {
        blank if is_blank(blank) => Ok(Vec::new()),
        Value::String(json) => match serde_json::from_str(json) {
            Ok(Value::String(_)) | Err(_) => Err(unreadable("text that is not JSON")),
            Ok(parsed) => listed(&parsed, column),
        },
        Value::Array(list) => list
            .iter()
            .map(|item| {
                let parsed = item.as_str().and_then(|json| serde_json::from_str::<Value>(json).ok());
                let tool = parsed.as_ref().unwrap_or(item);
                function(tool).ok_or_else(|| unreadable("a tool without a name"))
            })
            .collect(),
        tool => Ok(vec![function(tool).ok_or_else(|| unreadable(kind(tool)))?]),
    }
}

/// What a turn calls, in `tool_calls` or the older `function_call`.
pub(super) fn calls(turn: &Map<String, Value>) -> Result<Vec<Value>, String> {
    let mut calls = Vec::new();
    for field in ["tool_calls", "function_call"] {
        if let Some(value) = turn.get(field).filter(|value| !is_blank(value)) {
            calls.extend(calls_of(value)?);
        }
    }
    Ok(calls)
}

/// A call or a list of calls, also as JSON text.
pub(super) fn calls_of(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::String(json) => match serde_json::from_str::<Value>(json) {
            Ok(parsed @ (Value::Object(_) | Value::Array(_))) => calls_of(&parsed),
            _ => {
                Err("its tool call is text that is not JSON of the form {\"name\": …, \"arguments\": {…}}"
                    .into())
            }
        },
        Value::Array(list) => Ok(list.iter().map(calls_of).collect::<Result<Vec<_>, _>>()?.concat()),
        other => Ok(vec![call(other)?]),
    }
}

fn function(tool: &Value) -> Option<Value> {
    if tool.get("function").is_some_and(Value::is_object) {
        let mut tool = tool.clone();
        if tool.get("type").is_none() {
            tool = json!({"type": "function", "function": tool["function"]});
        }
        return tool["function"]["name"].is_string().then_some(tool);
    }
    tool.get("name")?.as_str()?;
    Some(json!({"type": "function", "function": tool}))
}

fn call(value: &Value) -> Result<Value, String> {
    let function = value.get("function").filter(|function| function.is_object()).unwrap_or(value);
    let Some(name) = function.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty())
    else {
        return Err(format!(
            "its tool call is {} where {{\"name\": …, \"arguments\": {{…}}}} is expected",
            if value.is_object() { "an object without a name" } else { kind(value) }
        ));
    };
    let given = ["arguments", "parameters", "args"].into_iter().find_map(|key| function.get(key));
    let mut call = Map::new();
    if let Some(id) = value.get("id").filter(|id| id.is_string()) {
        call.insert("id".into(), id.clone());
    }
    call.insert("type".into(), "function".into());
    call.insert("function".into(), json!({"name": name, "arguments": arguments(name, given)?}));
    Ok(Value::Object(call))
}

/// Arguments as an object; OpenAI writes them as JSON text.
fn arguments(name: &str, given: Option<&Value>) -> Result<Value, String> {
    match given {
        Some(Value::Object(_)) => Ok(given.cloned().unwrap_or_default()),
        Some(value) if !is_blank(value) => {
            let parsed = value.as_str().and_then(|json| serde_json::from_str::<Value>(json).ok());
            parsed.filter(Value::is_object).ok_or_else(|| {
                format!("its call of the tool \"{name}\" has arguments that are not a JSON object; write them as {{\"…\": …}}")
            })
        }
        _ => Ok(json!({})),
    }
}
