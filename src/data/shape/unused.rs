//! What of a file is not used: columns, and fields of messages.

use super::columns::{self, looks_like_answer, suggestion};
use super::turn;
use crate::data::listing::list_some;
use crate::data::read::Records;
use crate::data::types::DataShape;
use crate::recipe::Objective;
use serde_json::Value;
use std::collections::HashSet;

/// Says which columns are not used, and which fields of messages.
pub(super) fn say_unused(
    records: &Records,
    shape: DataShape,
    used: &HashSet<String>,
    notes: &mut Vec<String>,
    advice: &mut Vec<(Objective, String)>,
) {
    let filled = columns::filled(records);
    let unused: Vec<&str> = filled.iter().copied().filter(|column| !used.contains(*column)).collect();
    if !unused.is_empty() {
        notes.push(format!("columns that are not used: {}", list_some(&unused)));
    }
    let first = records.columns.iter().find(|column| used.contains(*column));
    if let Some(prompt) =
        columns::prompt_among(records.columns.iter().filter(|c| used.contains(*c))).or(first)
    {
        for answer in unused.iter().filter(|column| looks_like_answer(column)) {
            notes.push(format!(
                "the column \"{answer}\" looks like an answer and is not used; to learn it, set data.mapping to {}",
                suggestion(prompt, answer)
            ));
        }
        let answer =
            filled.iter().find(|column| used.contains(**column) && *column != prompt && **column != "system");
        if let (DataShape::Prompts, Some(answer)) = (shape, answer) {
            let said = format!(
                "to learn the column \"{answer}\", set data.mapping to {}",
                suggestion(prompt, answer)
            );
            advice.extend([Objective::Sft, Objective::Text].map(|objective| (objective, said.clone())));
        }
    }
    let mut fields = UnusedFields::default();
    for record in &records.records {
        for (_, value) in record.fields.iter().filter(|(column, _)| used.contains(*column)) {
            fields.add_turns(value, record.line);
        }
    }
    let UnusedFields { listed: fields, .. } = fields;
    if !fields.is_empty() {
        const SHOWN: usize = 20;
        let named = fields.iter().map(|(field, line)| format!("{field} (first on line {line})"));
        let mut named: Vec<String> = named.take(SHOWN).collect();
        if fields.len() > SHOWN {
            named.push(format!("and {} more", fields.len() - SHOWN));
        }
        notes.push(format!("fields of messages that are not used: {}", named.join(", ")));
    }
}

/// Fields of turns that are not used, each with the line on which it is first.
#[derive(Default)]
struct UnusedFields {
    listed: Vec<(String, usize)>,
    seen: HashSet<String>,
}

impl UnusedFields {
    fn add_turns(&mut self, value: &Value, line: usize) {
        match value {
            Value::Array(turns) => turns.iter().for_each(|turn| self.add_turns(turn, line)),
            Value::Object(turn) if turn.contains_key("role") || turn.contains_key("from") => {
                for field in turn::unused_fields(turn) {
                    if self.seen.insert(field.clone()) {
                        self.listed.push((field, line));
                    }
                }
            }
            Value::Object(input) => {
                input.get("messages").iter().for_each(|turns| self.add_turns(turns, line));
            }
            // A table's cell has a conversation as text.
            Value::String(text) if text.trim_start().starts_with("[{") => {
                if let Ok(turns @ Value::Array(_)) = serde_json::from_str(text) {
                    self.add_turns(&turns, line);
                }
            }
            _ => {}
        }
    }
}
