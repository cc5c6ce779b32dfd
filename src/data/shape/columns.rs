//! Columns under other names than the shapes' own: which is the prompt and which the answer.

use super::values::is_blank;
use crate::data::listing::list_some;
use crate::data::read::Records;
use crate::data::types::DataShape;
use crate::recipe::ColumnMapping;
use serde_json::Value;
use std::collections::HashSet;

/// Names of prompts; those of the second list only where there is none of the first.
const PROMPTS: [&[&str]; 2] = [
    &["prompt", "question", "query", "instruction", "problem"],
    &["input", "user", "human", "request", "user_message", "user_input", "message"],
];

/// Names of answers; those of the second list only where there is none of the first.
const ANSWERS: [&[&str]; 2] = [
    &["completion", "response", "answer", "output", "reply"],
    &[
        "assistant",
        "target",
        "solution",
        "gpt",
        "bot",
        "assistant_message",
        "assistant_response",
        "model_response",
        "model_answer",
        "model_output",
        "generated_text",
    ],
];

/// Beside a `prompt` these belong to a reward, see `super::task`.
const RIGHT_ANSWERS: [&str; 3] = ["answer", "solution", "ground_truth"];

/// What an instruction is about; it is put after it, as Alpaca's `input` is.
const CONTEXTS: [&str; 2] = ["input", "context"];

/// Names of conversations beside `messages` and `conversations`.
const CHATS: [&str; 7] = ["conversation", "dialogue", "dialog", "dialogues", "chat", "chats", "turns"];

/// What the columns of a file seem to be, where their names are not the shapes' own.
pub(super) struct Guess {
    pub shape: DataShape,
    pub mapping: ColumnMapping,
}

/// Finds one prompt and one answer; nothing where one is missing.
///
/// # Errors
/// Several columns that could be the prompt, or the answer: with the mapping to write.
pub(super) fn guess(records: &Records) -> Result<Option<Guess>, String> {
    let filled = filled(records);
    if let Some(column) =
        filled.iter().find(|c| CHATS.contains(&usual(c).as_str()) && holds_messages(records, c))
    {
        let mapping = ColumnMapping { messages: Some(column.to_string()), ..ColumnMapping::default() };
        return Ok(Some(Guess { shape: DataShape::Messages, mapping }));
    }
    let named = |names: &[&str]| -> Vec<&str> {
        filled.iter().copied().filter(|column| names.contains(&usual(column).as_str())).collect()
    };
    let best = |lists: [&[&str]; 2]| {
        lists.into_iter().map(named).find(|found| !found.is_empty()).unwrap_or_default()
    };
    let prompts = best(PROMPTS);
    let mut answers = best(ANSWERS);
    if prompts.iter().any(|column| usual(column) == "prompt") {
        answers.retain(|column| !RIGHT_ANSWERS.contains(&usual(column).as_str()));
    }
    let (Some(&prompt), Some(&answer)) = (prompts.first(), answers.first()) else { return Ok(None) };
    let mut contexts = named(&CONTEXTS);
    contexts.retain(|column| *column != prompt);
    for (part, several) in [("prompt", &prompts), ("answer", &answers), ("input", &contexts)] {
        if several.len() > 1 {
            return Err(format!(
                "has the columns {}, of which {} could each be the {part}; say which is what in data.mapping, such as {}",
                list_some(&records.columns.iter().map(String::as_str).collect::<Vec<_>>()),
                several.join(" and "),
                suggestion(prompt, answer),
            ));
        }
    }
    let system = named(&["system", "system_prompt", "system_message"]);
    let system = system.first().map(|column| column.to_string());
    let (prompt, answer) = (Some(prompt.to_string()), Some(answer.to_string()));
    Ok(Some(match contexts.first() {
        Some(input) => Guess {
            shape: DataShape::Alpaca,
            mapping: ColumnMapping {
                instruction: prompt,
                input: Some(input.to_string()),
                output: answer,
                system,
                ..ColumnMapping::default()
            },
        },
        None => Guess {
            shape: DataShape::PromptCompletion,
            mapping: ColumnMapping { prompt, completion: answer, system, ..ColumnMapping::default() },
        },
    }))
}

/// Whether a column begins, where it holds anything, with a list of turns, which a table has as text.
fn holds_messages(records: &Records, column: &str) -> bool {
    let mut values = records.records.iter().filter_map(|record| record.fields.get(column));
    match values.find(|value| !is_blank(value)) {
        Some(Value::Array(turns)) => turns.iter().all(Value::is_object),
        Some(Value::String(text)) => text.trim_start().starts_with("[{"),
        _ => false,
    }
}

/// Whether a column has an answer's name.
pub(super) fn looks_like_answer(column: &str) -> bool {
    ANSWERS.concat().contains(&usual(column).as_str())
}

/// The columns in which some row has something.
pub(super) fn filled(records: &Records) -> Vec<&str> {
    let fields = records.records.iter().flat_map(|record| &record.fields);
    let filled: HashSet<&str> =
        fields.filter(|(_, value)| !is_blank(value)).map(|(column, _)| column.as_str()).collect();
    records.columns.iter().map(String::as_str).filter(|column| filled.contains(column)).collect()
}

/// The mapping to write for a prompt and its answer.
pub(super) fn suggestion(prompt: &str, answer: &str) -> String {
    format!("{{\"prompt\": {}, \"completion\": {}}}", quoted(prompt), quoted(answer))
}

fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

/// The first of these columns that has a prompt's name.
pub(super) fn prompt_among<'c>(columns: impl Iterator<Item = &'c String> + Clone) -> Option<&'c String> {
    let named = |name: &&str| columns.clone().find(|column| usual(column) == **name);
    PROMPTS.concat().iter().find_map(named)
}

/// A mapping as its user would write it.
pub(super) fn shown(mapping: &ColumnMapping) -> String {
    let parts = serde_json::to_value(mapping).unwrap_or_default();
    let given = parts.as_object().into_iter().flatten().filter(|(_, column)| !column.is_null());
    let given: Vec<String> = given.map(|(part, column)| format!("\"{part}\": {column}")).collect();
    format!("{{{}}}", given.join(", "))
}

/// A column's name as the lists above write it.
fn usual(column: &str) -> String {
    column.trim().to_lowercase().replace([' ', '-'], "_")
}
