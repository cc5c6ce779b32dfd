//! A row's parts: the column that each is read from, and the content that they make.

use super::classes;
use super::columns;
use super::contrast;
use super::mapping::mapped_column;
use super::messages::{Preamble, chat, messages};
use super::preference;
use super::task;
use super::tools;
use super::values::{is_blank, text};
use crate::data::read::Records;
use crate::data::types::{DataShape, Message, RowContent};
use crate::recipe::ColumnMapping;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashSet;

/// Names of OpenAI, LLaMA-Factory and others in preference data, and those that data sets for sentence-transformers and for GRPO
/// have beside the usual ones.
const OTHER_NAMES: [(&str, &str); 23] = [
    ("chosen", "preferred_output"),
    ("chosen", "chosen_messages"),
    ("chosen", "chosen_response"),
    ("chosen", "chosen_answer"),
    ("rejected", "non_preferred_output"),
    ("rejected", "rejected_messages"),
    ("rejected", "rejected_response"),
    ("rejected", "rejected_answer"),
    ("anchor", "query"),
    ("positive", "passage"),
    ("positive", "document"),
    ("sentence1", "sentence_a"),
    ("sentence2", "sentence_b"),
    ("score", "similarity_score"),
    ("score", "similarity"),
    ("score", "label"),
    ("negative", "hard_negative"),
    ("answer", "solution"),
    ("answer", "ground_truth"),
    ("system", "system_prompt"),
    ("system", "system_message"),
    ("tools", "tools"),
    ("tools", "functions"),
];

/// Shapes with more than one column or with turns, the richest first: preference files often carry "messages" too, chat
/// files a "prompt".
const RICHER_SHAPES: [DataShape; 7] = [
    DataShape::Preference,
    DataShape::Messages,
    DataShape::ShareGpt,
    DataShape::PromptCompletion,
    DataShape::Alpaca,
    DataShape::TextPairs,
    DataShape::ScoredPairs,
];

/// Whether some of the columns make rows of a shape that has a prompt and an answer, or texts to compare, by its own names.
pub(super) fn has_usual_columns(records: &Records) -> bool {
    let parts = Parts { mapping: None, mapped_shape: None, used: RefCell::default() };
    let has = |part: &str| records.columns.iter().any(|column| parts.is(column, part));
    let context = |column: &&str| column.trim().eq_ignore_ascii_case("context");
    RICHER_SHAPES.into_iter().any(|shape| {
        // An instruction's context is its input under another name.
        let is_guessed =
            shape == DataShape::Alpaca && !has("input") && columns::filled(records).iter().any(context);
        !is_guessed && Parts::needed(shape).iter().all(|part| has(part))
    })
}

/// Finds the columns that make a row, by their usual names or by a mapping.
pub(super) struct Parts<'a> {
    pub mapping: Option<&'a ColumnMapping>,
    pub mapped_shape: Option<DataShape>,
    /// Columns that rows were read from.
    pub used: RefCell<HashSet<String>>,
}

impl Parts<'_> {
    pub fn shape_of(&self, fields: &Map<String, Value>) -> Option<DataShape> {
        let has = |part: &str| fields.keys().any(|column| self.is(column, part));
        if let Some(shape) = self.mapped_shape {
            return Self::needed(shape).iter().all(|part| has(part)).then_some(shape);
        }
        // Alpaca files have a "text" beside, labelled texts are no texts alone.
        let plainer = [DataShape::Classification, DataShape::Text, DataShape::Prompts];
        let order = RICHER_SHAPES.into_iter().chain(plainer);
        order.into_iter().find(|shape| Self::needed(*shape).iter().all(|part| has(part)))
    }

    pub fn needed(shape: DataShape) -> &'static [&'static str] {
        match shape {
            DataShape::Text => &["text"],
            DataShape::PromptCompletion => &["prompt", "completion"],
            DataShape::Messages => &["messages"],
            DataShape::ShareGpt => &["conversations"],
            DataShape::Alpaca => &["instruction", "output"],
            DataShape::Preference => &["chosen", "rejected"],
            DataShape::UnpairedPreference => &["prompt", "completion", "label"],
            DataShape::Classification => &["text", "label"],
            DataShape::TextPairs => &["anchor", "positive"],
            DataShape::ScoredPairs => &["sentence1", "sentence2", "score"],
            DataShape::Prompts => &["prompt"],
        }
    }

    pub fn is(&self, column: &str, part: &str) -> bool {
        match self.mapping {
            // Tools have no place in a mapping: they are what they are called.
            Some(mapping) if part != "tools" => mapped_column(mapping, part) == Some(column),
            _ => {
                let is = |name: &str| column.trim().eq_ignore_ascii_case(name);
                is(part) || OTHER_NAMES.iter().any(|(usual, other)| *usual == part && is(other))
            }
        }
    }

    /// A part's value, whose column then is one that is used.
    fn find<'v>(&self, fields: &'v Map<String, Value>, part: &str) -> Option<&'v Value> {
        let (column, value) = fields.iter().find(|(column, _)| self.is(column, part))?;
        self.used.borrow_mut().insert(column.clone());
        Some(value)
    }

    /// The row's content, or what is wrong with it.
    pub fn read(&self, shape: DataShape, fields: &Map<String, Value>) -> Result<RowContent, String> {
        let value = |part: &str| self.find(fields, part).unwrap_or(&Value::Null);
        match shape {
            DataShape::Text => return Ok(RowContent::Text(text(value("text"), "text")?)),
            DataShape::Classification => return classes::labelled(value("text"), value("label")),
            DataShape::TextPairs => {
                return contrast::pair(value("anchor"), value("positive"), value("negative"));
            }
            DataShape::ScoredPairs => {
                return contrast::scored(value("sentence1"), value("sentence2"), value("score"));
            }
            _ => {}
        }
        let system = text(value("system"), "system")?;
        let system = (!system.trim().is_empty()).then_some(system);
        let preamble = Preamble { system, tools: tools::listed(value("tools"), "tools")? };
        match shape {
            DataShape::Messages => chat(preamble, Vec::new(), messages(value("messages"), "messages")?),
            DataShape::ShareGpt => {
                chat(preamble, Vec::new(), messages(value("conversations"), "conversations")?)
            }
            DataShape::Prompts => task::task(preamble, value("prompt"), value("answer")),
            DataShape::Preference => self.preference(preamble, fields),
            DataShape::Alpaca => {
                let prompt = vec![Message::new("user", self.instruction(fields)?)];
                let output = text(value("output"), "output")?;
                chat(preamble, prompt, vec![Message::new("assistant", output)])
            }
            _ => preference::answer_to(
                preamble,
                ("prompt", value("prompt")),
                ("completion", value("completion")),
            ),
        }
    }

    /// Alpaca's instruction, its input after it.
    fn instruction(&self, fields: &Map<String, Value>) -> Result<String, String> {
        let value = |part: &str| text(self.find(fields, part).unwrap_or(&Value::Null), part);
        let (instruction, input) = (value("instruction")?, value("input")?);
        let blank = input.trim().is_empty();
        Ok(if blank { instruction } else { format!("{instruction}\n\n{input}") })
    }

    fn preference(&self, mut preamble: Preamble, fields: &Map<String, Value>) -> Result<RowContent, String> {
        let value = |part: &str| self.find(fields, part).unwrap_or(&Value::Null);
        let (chosen, rejected) = (value("chosen"), value("rejected"));
        let is_there =
            |part: &str| fields.iter().any(|(column, value)| self.is(column, part) && !is_blank(value));
        let mut prompt = Value::Null;
        let mut conversation = &Value::Null;
        if is_there("prompt") {
            prompt = value("prompt").clone();
        } else if is_there("instruction") {
            prompt = self.instruction(fields)?.into();
        } else if is_there("input") {
            // OpenAI writes the prompt as {"input": {"messages": […], "tools": […]}}.
            let input = value("input");
            prompt = input.get("messages").unwrap_or(input).clone();
            preamble.tools.extend(tools::listed(input.get("tools").unwrap_or(&Value::Null), "tools")?);
        } else if is_there("conversations") {
            conversation = value("conversations");
        } else if is_there("messages") {
            conversation = value("messages");
        } else if let (Some(column), None) = (columns::prompt_among(fields.keys()), self.mapping) {
            self.used.borrow_mut().insert(column.clone());
            prompt = fields[column].clone();
        }
        preference::pair(preamble, &prompt, conversation, chosen, rejected)
    }
}
