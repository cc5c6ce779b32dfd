//! From named values to rows of one shape: detection by column names, or by an explicit mapping.

use super::dataset::{ColumnMapping, DataShape, Dataset, Message, Row, RowContent};
use super::formats::{Record, Records, invalid, invalid_line};
use crate::error::{Error, Result};
use serde_json::{Map, Value};

pub(super) fn to_dataset(file: &str, records: Records, mapping: Option<&ColumnMapping>) -> Result<Dataset> {
    let mapped_shape = mapping.map(|m| mapping_shape(m, &records.columns)).transpose()?;
    let parts = Parts { mapping, mapped_shape };
    let shape = one_shape(file, &records, &parts)?;
    let mut rows = Vec::with_capacity(records.records.len());
    for Record { line, fields } in &records.records {
        let content = match parts.shape_of(fields) {
            Some(_) => parts.read(shape, fields).map_err(|reason| invalid_line(file, *line, reason))?,
            None => RowContent::Text(String::new()),
        };
        rows.push(Row { line: *line, content });
    }
    let mut notes = records.notes;
    let unused: Vec<&str> =
        records.columns.iter().map(String::as_str).filter(|c| !parts.uses(shape, c)).collect();
    if !unused.is_empty() {
        notes.push(format!("columns that are not used: {}", list_some(&unused)));
    }
    Ok(Dataset { file: file.into(), shape, columns: records.columns, rows, notes })
}

/// The shape that every row with anything in it has.
fn one_shape(file: &str, records: &Records, parts: &Parts) -> Result<DataShape> {
    let mut found: Vec<(DataShape, Vec<usize>)> = Vec::new();
    let mut unknown: Vec<&Record> = Vec::new();
    for record in &records.records {
        match parts.shape_of(&record.fields) {
            Some(shape) => match found.iter_mut().find(|(s, _)| *s == shape) {
                Some((_, lines)) => lines.push(record.line),
                None => found.push((shape, vec![record.line])),
            },
            None if record.fields.values().all(is_blank) => {}
            None => unknown.push(record),
        }
    }
    match (found.as_slice(), unknown.first()) {
        ([], None) => Err(invalid(file, "has only empty rows; it needs at least one example")),
        ([], Some(_)) => Err(invalid(file, unknown_columns(&records.columns))),
        ([(shape, _)], None) => Ok(*shape),
        ([(shape, lines)], Some(record)) => {
            let names: Vec<&str> = record.fields.keys().map(String::as_str).collect();
            let reason = format!(
                "has the columns {}, but the file's other rows are {} ({}, first on line {}); complete or remove this row",
                list_some(&names),
                shape.label(),
                shape.columns(),
                lines[0],
            );
            Err(invalid_line(file, record.line, reason))
        }
        (several, _) => {
            let each: Vec<String> = several
                .iter()
                .map(|(shape, lines)| format!("{} on {}", shape.label(), list_lines(lines)))
                .collect();
            Err(invalid(file, format!("mixes shapes: {}; give each shape its own file", each.join("; "))))
        }
    }
}

/// Finds the columns that make a row, by their usual names or by the user's mapping.
struct Parts<'a> {
    mapping: Option<&'a ColumnMapping>,
    mapped_shape: Option<DataShape>,
}

impl Parts<'_> {
    fn shape_of(&self, fields: &Map<String, Value>) -> Option<DataShape> {
        let has = |part: &str| self.find(fields, part).is_some();
        if let Some(shape) = self.mapped_shape {
            return Self::needed(shape).iter().all(|part| has(part)).then_some(shape);
        }
        // Richer shapes first: chat files often carry a "prompt" too, Alpaca files a "text".
        let order = [
            DataShape::Messages,
            DataShape::ShareGpt,
            DataShape::PromptCompletion,
            DataShape::Alpaca,
            DataShape::Text,
        ];
        order.into_iter().find(|shape| Self::needed(*shape).iter().all(|part| has(part)))
    }

    fn needed(shape: DataShape) -> &'static [&'static str] {
        match shape {
            DataShape::Text => &["text"],
            DataShape::PromptCompletion => &["prompt", "completion"],
            DataShape::Messages => &["messages"],
            DataShape::ShareGpt => &["conversations"],
            DataShape::Alpaca => &["instruction", "output"],
        }
    }

    fn uses(&self, shape: DataShape, column: &str) -> bool {
        let optional: &[&str] = match shape {
            DataShape::Text => &[],
            DataShape::Alpaca => &["input", "system"],
            _ => &["system"],
        };
        Self::needed(shape).iter().chain(optional).any(|part| self.is(column, part))
    }

    fn is(&self, column: &str, part: &str) -> bool {
        match self.mapping {
            Some(mapping) => mapped_column(mapping, part) == Some(column),
            None => column.trim().eq_ignore_ascii_case(part),
        }
    }

    fn find<'v>(&self, fields: &'v Map<String, Value>, part: &str) -> Option<&'v Value> {
        fields.iter().find(|(column, _)| self.is(column, part)).map(|(_, value)| value)
    }

    /// The row's content, or what is wrong with it.
    fn read(&self, shape: DataShape, fields: &Map<String, Value>) -> Result<RowContent, String> {
        let value = |part: &str| self.find(fields, part).unwrap_or(&Value::Null);
        let system = text(value("system"), "system")?;
        let system = (!system.trim().is_empty()).then_some(system);
        match shape {
            DataShape::Text => Ok(RowContent::Text(text(value("text"), "text")?)),
            DataShape::Messages => chat(system, Vec::new(), messages(value("messages"), "messages")?),
            DataShape::ShareGpt => {
                chat(system, Vec::new(), messages(value("conversations"), "conversations")?)
            }
            DataShape::PromptCompletion => {
                let (prompt, completion) = (value("prompt"), value("completion"));
                if is_message_list(prompt) || is_message_list(completion) {
                    chat(
                        system,
                        messages_or_turn(prompt, "prompt", "user")?,
                        messages_or_turn(completion, "completion", "assistant")?,
                    )
                } else {
                    let (prompt, completion) = (text(prompt, "prompt")?, text(completion, "completion")?);
                    Ok(RowContent::Pair { system, prompt, completion })
                }
            }
            DataShape::Alpaca => {
                let mut prompt = text(value("instruction"), "instruction")?;
                let input = text(value("input"), "input")?;
                if !input.trim().is_empty() {
                    prompt = format!("{prompt}\n\n{input}");
                }
                let output = text(value("output"), "output")?;
                chat(system, vec![Message::new("user", prompt)], vec![Message::new("assistant", output)])
            }
        }
    }
}

fn chat(system: Option<String>, prompt: Vec<Message>, rest: Vec<Message>) -> Result<RowContent, String> {
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

fn is_message_list(value: &Value) -> bool {
    matches!(value, Value::Array(_))
}

fn messages_or_turn(value: &Value, column: &str, role: &str) -> Result<Vec<Message>, String> {
    match value {
        Value::Array(_) => messages(value, column),
        other => Ok(vec![Message::new(role, text(other, column)?)]),
    }
}

fn messages(value: &Value, column: &str) -> Result<Vec<Message>, String> {
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

fn text(value: &Value, column: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(format!("\"{column}\" holds {} where text is expected", kind(other))),
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn mapped_column<'m>(mapping: &'m ColumnMapping, part: &str) -> Option<&'m str> {
    let column = match part {
        "text" => &mapping.text,
        "prompt" => &mapping.prompt,
        "completion" => &mapping.completion,
        "messages" => &mapping.messages,
        "instruction" => &mapping.instruction,
        "input" => &mapping.input,
        "output" => &mapping.output,
        "system" => &mapping.system,
        _ => &None,
    };
    column.as_deref()
}

fn mapping_shape(mapping: &ColumnMapping, columns: &[String]) -> Result<DataShape> {
    let setting = |value: String, expected: String| Error::InvalidSetting {
        key: "data.mapping".into(),
        value,
        expected,
    };
    const PARTS: [&str; 8] =
        ["text", "prompt", "completion", "messages", "instruction", "input", "output", "system"];
    let given: Vec<&str> = PARTS.into_iter().filter(|part| mapped_column(mapping, part).is_some()).collect();
    for part in &given {
        let column = mapped_column(mapping, part).unwrap_or_default();
        if !columns.iter().any(|c| c == column) {
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            return Err(setting(
                format!("{{\"{part}\": \"{column}\"}}"),
                format!("the file's columns are {}", list_some(&names)),
            ));
        }
    }
    let main: Vec<&str> = given.iter().copied().filter(|p| !matches!(*p, "input" | "system")).collect();
    match main.as_slice() {
        ["text"] => Ok(DataShape::Text),
        ["prompt", "completion"] => Ok(DataShape::PromptCompletion),
        ["messages"] => Ok(DataShape::Messages),
        ["instruction", "output"] => Ok(DataShape::Alpaca),
        _ => Err(setting(
            if given.is_empty() { "empty".into() } else { format!("a mapping of {}", given.join(", ")) },
            "it must map text, or prompt and completion, or messages, or instruction and output".into(),
        )),
    }
}

fn unknown_columns(columns: &[String]) -> String {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let known: Vec<String> =
        DataShape::ALL.iter().map(|shape| format!("{} ({})", shape.columns(), shape.label())).collect();
    format!(
        "has the columns {}, which are no known shape; known are {}; rename the columns or name them in data.mapping",
        if names.is_empty() { "none".into() } else { list_some(&names) },
        known.join(", ")
    )
}

fn list_some(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|n| shorten(n)).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A file without a header has whole sentences for column names.
fn shorten(name: &str) -> String {
    const LONGEST: usize = 40;
    match name.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &name[..cut]),
        None => name.to_string(),
    }
}

fn list_lines(lines: &[usize]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = lines.iter().take(SHOWN).map(usize::to_string).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    match lines.len().saturating_sub(SHOWN) {
        0 => format!("{word} {}", shown.join(", ")),
        more => format!("{word} {} and {more} more", shown.join(", ")),
    }
}
