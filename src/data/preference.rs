//! Rows that say which answer is better: two answers to one prompt, or one answer and a verdict.

use super::dataset::{Message, RowContent};
use super::messages::{chat, is_blank, is_message_list, kind, messages, messages_or_turn, prompt_completion};
use serde_json::Value;

/// Two answers to one prompt.
///
/// Where `chosen` and `rejected` are whole conversations and `prompt` is missing, or is the text that
/// they begin with, the prompt is what the two share, as in TRL's `extract_prompt`.
pub(super) fn pair(
    system: Option<String>,
    prompt: &Value,
    chosen: &Value,
    rejected: &Value,
) -> Result<RowContent, String> {
    let (prompt, chosen, rejected) = (&list_in_text(prompt), &list_in_text(chosen), &list_in_text(rejected));
    if is_blank(chosen) && is_blank(rejected) {
        return Ok(RowContent::Text(String::new()));
    }
    let both_lists = is_message_list(chosen) && is_message_list(rejected);
    if both_lists && !is_message_list(prompt) {
        return conversations(system, prompt, messages(chosen, "chosen")?, messages(rejected, "rejected")?);
    }
    if is_blank(prompt) {
        return Err("has no prompt, and \"chosen\" and \"rejected\" are not both lists of messages; add a prompt column, \
                    or write both as whole conversations"
            .into());
    }
    let answer = |column, value| prompt_completion(system.clone(), ("prompt", prompt), (column, value));
    preference(answer("chosen", chosen)?, answer("rejected", rejected)?)
}

/// One answer, and whether it is liked.
pub(super) fn unpaired(
    system: Option<String>,
    prompt: &Value,
    completion: &Value,
    label: &Value,
) -> Result<RowContent, String> {
    let (prompt, completion) = (&list_in_text(prompt), &list_in_text(completion));
    let Some(liked) = verdict(label) else {
        let found = match label {
            Value::String(text) => format!("\"{text}\""),
            other => kind(other).into(),
        };
        return Err(format!("\"label\" holds {found} where true or false is expected"));
    };
    let answer = prompt_completion(system, ("prompt", prompt), ("completion", completion))?;
    Ok(RowContent::Unpaired { answer: Box::new(answer), label: liked })
}

/// A label as true or false, also as a table writes it.
pub(super) fn verdict(label: &Value) -> Option<bool> {
    match label {
        Value::Bool(liked) => Some(*liked),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn conversations(
    system: Option<String>,
    prompt: &Value,
    chosen: Vec<Message>,
    rejected: Vec<Message>,
) -> Result<RowContent, String> {
    let shared = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
    let prompt = match shared {
        0 if is_blank(prompt) => {
            return Err("has no prompt: \"chosen\" and \"rejected\" begin with different messages; add a prompt column, \
                        or let both begin with the same messages"
                .into());
        }
        0 => messages_or_turn(prompt, "prompt", "user")?,
        _ => chosen[..shared].to_vec(),
    };
    let answer = |rest: &[Message]| chat(system.clone(), prompt.clone(), rest[shared..].to_vec());
    preference(answer(&chosen)?, answer(&rejected)?)
}

fn preference(chosen: RowContent, rejected: RowContent) -> Result<RowContent, String> {
    Ok(RowContent::Preference { chosen: Box::new(chosen), rejected: Box::new(rejected) })
}

/// A table's cell can hold a conversation only as JSON text.
fn list_in_text(value: &Value) -> Value {
    let has_role = |message: &Value| message.get("role").or_else(|| message.get("from")).is_some();
    match value {
        Value::String(text) if text.trim_start().starts_with('[') => match serde_json::from_str(text) {
            Ok(Value::Array(list)) if !list.is_empty() && list.iter().all(has_role) => Value::Array(list),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}
