//! Prompts that a model answers itself, and what a reward may know of them.

use super::messages::{Preamble, is_blank, messages_or_turn, text};
use crate::data::types::{Message, RowContent};
use crate::recipe::Objective;
use serde_json::Value;

/// What the objective `grpo` makes of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Task {
    pub prompt: Vec<Message>,
    /// The tools that may be called.
    pub tools: Vec<Value>,
    /// What a right answer says, where the row has it.
    pub answer: Option<String>,
}

impl Task {
    /// The task that a row is: always of a row of prompts, and for the objective `grpo` of a row whose answer is written,
    /// too, which then is the right one. Of a conversation that is its last answer.
    pub fn of(content: &RowContent, objective: Objective) -> Option<Task> {
        match content {
            RowContent::Prompt(task) => Some(task.clone()),
            RowContent::Pair { system, prompt, completion } if objective == Objective::Grpo => {
                let system = system.iter().map(|system| Message::new("system", system));
                let prompt = system.chain([Message::new("user", prompt)]).collect();
                Some(Task { prompt, answer: Some(completion.clone()), ..Task::default() })
            }
            RowContent::Chat { messages, tools, .. } if objective == Objective::Grpo => {
                // A turn that only calls a tool has no words that an answer could be compared with.
                let says = |message: &Message| message.is_assistant() && !message.content.trim().is_empty();
                let last = messages.iter().rposition(says);
                let last = last.or_else(|| messages.iter().rposition(Message::is_assistant))?;
                let answer = Some(messages[last].content.clone()).filter(|answer| !answer.trim().is_empty());
                Some(Task { prompt: messages[..last].to_vec(), tools: tools.clone(), answer })
            }
            _ => None,
        }
    }
}

/// A prompt, with the answer where there is one.
pub(super) fn task(
    Preamble { system, tools }: Preamble,
    prompt: &Value,
    answer: &Value,
) -> Result<RowContent, String> {
    let mut prompt = messages_or_turn(prompt, "prompt", "user")?;
    if let Some(system) = system.filter(|_| prompt.first().is_none_or(|message| message.role != "system")) {
        prompt.insert(0, Message::new("system", system));
    }
    let answer = if is_blank(answer) { None } else { Some(text(answer, "answer")?) };
    Ok(RowContent::Prompt(Task { prompt, tools, answer }))
}
