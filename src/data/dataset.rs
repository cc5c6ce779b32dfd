//! What a data file holds once it is read: rows of one shape.

use serde::{Deserialize, Serialize};

/// How the rows of a file are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum DataShape {
    /// `{"text": "…"}`, or a plain text file.
    Text,
    /// `{"prompt": "…", "completion": "…"}`; either may be a list of messages.
    PromptCompletion,
    /// `{"messages": [{"role": "user", "content": "…"}, …]}`.
    Messages,
    /// `{"conversations": [{"from": "human", "value": "…"}, …]}`.
    ShareGpt,
    /// `{"instruction": "…", "input": "…"?, "output": "…"}`.
    Alpaca,
}

impl DataShape {
    pub const ALL: [DataShape; 5] = [
        DataShape::Text,
        DataShape::PromptCompletion,
        DataShape::Messages,
        DataShape::ShareGpt,
        DataShape::Alpaca,
    ];

    /// What people call it.
    pub fn label(self) -> &'static str {
        match self {
            DataShape::Text => "raw text",
            DataShape::PromptCompletion => "prompts and completions",
            DataShape::Messages => "chat messages",
            DataShape::ShareGpt => "ShareGPT conversations",
            DataShape::Alpaca => "Alpaca instructions",
        }
    }

    /// The columns that make a row this shape, as error messages list them.
    pub fn columns(self) -> &'static str {
        match self {
            DataShape::Text => "text",
            DataShape::PromptCompletion => "prompt + completion",
            DataShape::Messages => "messages",
            DataShape::ShareGpt => "conversations",
            DataShape::Alpaca => "instruction + output (+ input)",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into() }
    }

    pub fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }
}

/// Which column of the file plays which part, for files whose columns have other names.
///
/// Name `text`, or `prompt` and `completion`, or `messages`, or `instruction` and `output`
/// (with `input` where there is one). `system` goes with all but `text`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ColumnMapping {
    pub text: Option<String>,
    pub prompt: Option<String>,
    pub completion: Option<String>,
    pub messages: Option<String>,
    pub instruction: Option<String>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub system: Option<String>,
}

/// The rows of one file.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The file's name, for messages.
    pub file: String,
    pub shape: DataShape,
    /// Every column seen, in the order of the file.
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// What was decided while reading, in sentences for the user.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Row {
    /// Line of the file on which the row starts, from 1.
    pub line: usize,
    pub content: RowContent,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowContent {
    /// A document; every token of it is a target.
    Text(String),
    /// A prompt and its completion as strings. They become a user and an assistant turn when the
    /// model has a chat template, and are joined as they stand when it has none.
    Pair { system: Option<String>, prompt: String, completion: String },
    /// A conversation. The first `prompt_messages` messages are prompt, so that an assistant's turn
    /// among them is not a target.
    Chat { messages: Vec<Message>, prompt_messages: usize },
}

impl RowContent {
    /// True where there is nothing to learn: no text, no completion, no assistant's words.
    pub fn is_blank(&self) -> bool {
        match self {
            RowContent::Text(text) => text.trim().is_empty(),
            RowContent::Pair { completion, .. } => completion.trim().is_empty(),
            RowContent::Chat { messages, prompt_messages } => {
                let mut answers =
                    messages.iter().skip(*prompt_messages).filter(|m| m.is_assistant()).peekable();
                let has_answers = answers.peek().is_some();
                messages.iter().all(|m| m.content.trim().is_empty())
                    || (has_answers && answers.all(|m| m.content.trim().is_empty()))
            }
        }
    }
}
