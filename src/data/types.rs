//! What all stages speak of: a data set, its rows of one shape, and the messages in them.

use crate::error::{Error, Result};
use crate::recipe::Objective;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

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
    /// `{"prompt": "…", "chosen": "…", "rejected": "…"}`; each may be a list of messages, and `prompt`
    /// may be left out where the other two are whole conversations. OpenAI's `{"input": {"messages": […]},
    /// "preferred_output": […], "non_preferred_output": […]}` and LLaMA-Factory's `{"conversations": […], "chosen": {…},
    /// "rejected": {…}}` are read too.
    Preference,
    /// `{"prompt": "…", "completion": "…", "label": true}`; the answer may be written in any other shape, too.
    UnpairedPreference,
    /// `{"text": "…", "label": "…"}`; a label is a word or a whole number.
    Classification,
    /// `{"anchor": "…", "positive": "…", "negative": "…"?}`: texts that belong together, and one that does not.
    TextPairs,
    /// `{"sentence1": "…", "sentence2": "…", "score": 0.8}`.
    ScoredPairs,
    /// `{"prompt": "…", "answer": "…"?}`: what the model is to answer, and what a right answer says; `prompt` may be a list of
    /// messages.
    Prompts,
}

impl DataShape {
    pub const ALL: [DataShape; 11] = [
        DataShape::Text,
        DataShape::PromptCompletion,
        DataShape::Messages,
        DataShape::ShareGpt,
        DataShape::Alpaca,
        DataShape::Preference,
        DataShape::UnpairedPreference,
        DataShape::Classification,
        DataShape::TextPairs,
        DataShape::ScoredPairs,
        DataShape::Prompts,
    ];

    /// What people call it.
    pub fn label(self) -> &'static str {
        match self {
            DataShape::Text => "raw text",
            DataShape::PromptCompletion => "prompts and completions",
            DataShape::Messages => "chat messages",
            DataShape::ShareGpt => "ShareGPT conversations",
            DataShape::Alpaca => "Alpaca instructions",
            DataShape::Preference => "preference pairs",
            DataShape::UnpairedPreference => "rated answers",
            DataShape::Classification => "labelled texts",
            DataShape::TextPairs => "pairs of texts",
            DataShape::ScoredPairs => "scored pairs",
            DataShape::Prompts => "prompts",
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
            DataShape::Preference => "chosen + rejected (+ prompt)",
            DataShape::UnpairedPreference => "prompt + completion + label (true or false)",
            DataShape::Classification => "text + label",
            DataShape::TextPairs => "anchor + positive (+ negative)",
            DataShape::ScoredPairs => "sentence1 + sentence2 + score",
            DataShape::Prompts => "prompt (+ answer)",
        }
    }

    /// The objectives that can learn from rows of this shape.
    pub fn objectives(self) -> &'static [Objective] {
        match self {
            DataShape::Preference => &[Objective::Dpo, Objective::Orpo, Objective::Kto, Objective::Reward],
            DataShape::UnpairedPreference => &[Objective::Kto],
            DataShape::Classification => &[Objective::Classify, Objective::Text],
            DataShape::TextPairs | DataShape::ScoredPairs => &[Objective::Contrastive],
            DataShape::Prompts => &[Objective::Grpo],
            DataShape::Text => &[Objective::Text, Objective::Sft],
            _ => &[Objective::Text, Objective::Sft, Objective::Grpo],
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    pub content: String,
    /// What an assistant's turn calls, as chat templates read it:
    /// `{"type": "function", "function": {"name": "…", "arguments": {…}}}`, maybe with an `id`.
    #[serde(skip)]
    pub tool_calls: Vec<Value>,
    /// The tool's name, in a tool's turn.
    #[serde(skip)]
    pub name: Option<String>,
    /// The `id` of the call that a tool's turn answers.
    #[serde(skip)]
    pub tool_call_id: Option<String>,
    /// What the assistant thinks before it speaks.
    #[serde(skip)]
    pub reasoning: Option<Reasoning>,
    /// Left out of the loss: the file marks this turn as context, with `"weight": 0`, say.
    #[serde(skip)]
    pub context_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reasoning {
    /// The field of the file that it stands in, such as `reasoning_content`.
    pub field: &'static str,
    pub text: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into(), ..Message::default() }
    }

    pub fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }

    /// Neither words nor a call nor a thought.
    pub fn is_blank(&self) -> bool {
        self.content.trim().is_empty() && self.tool_calls.is_empty() && self.reasoning.is_none()
    }
}

/// The rows of one file. A clone shares them.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The file's name, for messages.
    pub file: String,
    pub shape: DataShape,
    /// Every column seen, in the order of the file.
    pub columns: Vec<String>,
    pub rows: Vec<Arc<Row>>,
    /// What was decided while reading, in sentences for the user.
    pub notes: Vec<String>,
    /// Why an objective does not suit this file although its user may think so, in half sentences.
    pub advice: Vec<(Objective, String)>,
}

impl Dataset {
    /// # Errors
    /// An objective that cannot learn from rows of this shape.
    pub fn check_objective(&self, objective: Objective) -> Result<()> {
        let fitting = self.shape.objectives();
        if fitting.contains(&objective) {
            return Ok(());
        }
        let advice = self.advice.iter().filter(|(about, _)| *about == objective);
        let advice: String = advice.map(|(_, text)| format!("; {text}")).collect();
        Err(Error::InvalidSetting {
            key: "objective".into(),
            value: format!("\"{}\"", objective.name()),
            expected: format!(
                "{} holds {}, for which it must be {}{advice}",
                self.file,
                self.shape.label(),
                fitting.iter().map(|fits| fits.name()).collect::<Vec<_>>().join(" or ")
            ),
        })
    }
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
    /// A conversation, and the tools that may be called in it. The first `prompt_messages` messages are prompt,
    /// so that an assistant's turn among them is not a target.
    Chat { messages: Vec<Message>, prompt_messages: usize, tools: Vec<Value> },
    /// Two answers to one prompt, each a `Pair` or a `Chat` with that prompt.
    Preference { chosen: Box<RowContent>, rejected: Box<RowContent> },
    /// One answer, a `Pair` or a `Chat`, and whether it is liked.
    Unpaired { answer: Box<RowContent>, label: bool },
    /// A text and the class that it is of.
    Labelled { text: String, label: String },
    /// Texts that are compared: an anchor, its positive and maybe a negative; or, with a score as the file writes it,
    /// two sentences.
    Sentences { texts: Vec<String>, score: Option<String> },
    /// What the model is to answer itself.
    Prompt(Task),
}

/// What the objective `grpo` makes of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Task {
    pub prompt: Vec<Message>,
    /// The tools that may be called.
    pub tools: Vec<Value>,
    /// What a right answer says, where the row has it.
    pub answer: Option<String>,
}

impl RowContent {
    /// The answers of a preference row; any other row itself.
    pub fn answers(&self) -> Vec<&RowContent> {
        match self {
            RowContent::Preference { chosen, rejected } => vec![chosen, rejected],
            RowContent::Unpaired { answer, .. } => vec![answer],
            other => vec![other],
        }
    }

    /// True where there is nothing to learn: no text, no completion, no assistant's words.
    pub fn is_blank(&self) -> bool {
        match self {
            RowContent::Text(text) | RowContent::Labelled { text, .. } => text.trim().is_empty(),
            RowContent::Sentences { texts, .. } => texts.iter().any(|text| text.trim().is_empty()),
            RowContent::Prompt(task) => task.prompt.iter().all(Message::is_blank),
            RowContent::Pair { completion, .. } => completion.trim().is_empty(),
            RowContent::Chat { messages, prompt_messages, .. } => {
                let mut answers =
                    messages.iter().skip(*prompt_messages).filter(|m| m.is_assistant()).peekable();
                let has_answers = answers.peek().is_some();
                messages.iter().all(Message::is_blank) || (has_answers && answers.all(Message::is_blank))
            }
            RowContent::Preference { .. } | RowContent::Unpaired { .. } => {
                self.answers().into_iter().any(RowContent::is_blank)
            }
        }
    }
}
