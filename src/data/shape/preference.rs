//! Rows that say which answer is better: two answers to one prompt, or one answer and a verdict.

use super::messages::{Preamble, chat, is_message_list, messages, messages_or_turn, prompt_completion};
use super::rating;
use super::values::is_blank;
use crate::data::types::{Message, RowContent};
use serde_json::Value;

/// Two answers to one prompt.
///
/// Where `chosen` and `rejected` are whole conversations and `prompt` is missing, or is the text that
/// they begin with, the prompt is what the two share, as in TRL's `extract_prompt`. Where they are not, and `prompt` is
/// missing, it is the `conversation` beside them, as LLaMA-Factory writes it.
pub(super) fn pair(
    preamble: Preamble,
    prompt: &Value,
    conversation: &Value,
    chosen: &Value,
    rejected: &Value,
) -> Result<RowContent, String> {
    let [prompt, conversation, chosen, rejected] =
        &[prompt, conversation, chosen, rejected].map(|value| one_in_a_list(list_in_text(value)));
    if is_blank(chosen) && is_blank(rejected) {
        return Ok(RowContent::Text(String::new()));
    }
    let both_lists = is_message_list(chosen) && is_message_list(rejected);
    let begin_alike = both_lists && chosen.get(0) == rejected.get(0);
    let prompt = if is_blank(prompt) && !begin_alike { conversation } else { prompt };
    if both_lists {
        let (better, worse) = (messages(chosen, "chosen")?, messages(rejected, "rejected")?);
        if !is_message_list(prompt) {
            return conversations(preamble, prompt, better, worse);
        }
        // Some files repeat the prompt in both answers.
        let before = messages(prompt, "prompt")?;
        if !before.is_empty() && better.starts_with(&before) && worse.starts_with(&before) {
            return conversations(preamble, &Value::Null, better, worse);
        }
    }
    if is_blank(prompt) {
        return Err("has no prompt, and \"chosen\" and \"rejected\" are not both lists of messages; add a prompt column, \
                    or write both as whole conversations"
            .into());
    }
    let answer = |column, value| prompt_completion(preamble.clone(), ("prompt", prompt), (column, value));
    preference(answer("chosen", chosen)?, answer("rejected", rejected)?)
}

/// One answer, and whether it is liked. Of a conversation that is the last answer.
pub(super) fn unpaired(answer: RowContent, column: &str, label: &Value) -> Result<RowContent, String> {
    if is_blank(label) && answer.is_blank() {
        return Ok(RowContent::Text(String::new()));
    }
    let Some(label) = rating::verdict(label) else { return Err(rating::unreadable(column, label)) };
    let answer = match answer {
        RowContent::Chat { messages, prompt_messages, tools } => {
            let last = messages.iter().rposition(Message::is_assistant);
            let prompt_messages = last.unwrap_or(0).max(prompt_messages);
            RowContent::Chat { messages, prompt_messages, tools }
        }
        other => other,
    };
    Ok(RowContent::Unpaired { answer: Box::new(answer), label })
}

/// A conversation or its text from a column, with what a table's cell can only hold as text.
pub(super) fn answer_to(
    preamble: Preamble,
    prompt: (&str, &Value),
    completion: (&str, &Value),
) -> Result<RowContent, String> {
    let of = |value| one_in_a_list(list_in_text(value));
    prompt_completion(preamble, (prompt.0, &of(prompt.1)), (completion.0, &of(completion.1)))
}

fn conversations(
    preamble: Preamble,
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
    let answer = |rest: &[Message]| chat(preamble.clone(), prompt.clone(), rest[shared..].to_vec());
    preference(answer(&chosen)?, answer(&rejected)?)
}

fn preference(chosen: RowContent, rejected: RowContent) -> Result<RowContent, String> {
    Ok(RowContent::Preference { chosen: Box::new(chosen), rejected: Box::new(rejected) })
}

/// An answer written as one message instead of a list of them.
fn one_in_a_list(value: Value) -> Value {
    let has_role = value.get("role").or_else(|| value.get("from")).is_some();
    if value.is_object() && has_role { Value::Array(vec![value]) } else { value }
}

/// A table's cell can hold a conversation only as JSON text.
fn list_in_text(value: &Value) -> Value {
    let has_role = |message: &Value| message.get("role").or_else(|| message.get("from")).is_some();
    match value {
        Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
            match serde_json::from_str(text) {
                Ok(Value::Array(list)) if !list.is_empty() && list.iter().all(has_role) => Value::Array(list),
                Ok(message @ Value::Object(_)) if has_role(&message) => message,
                _ => value.clone(),
            }
        }
        other => other.clone(),
    }
}
