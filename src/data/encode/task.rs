//! Rows as prompts that a model answers itself.

use crate::data::types::{Message, RowContent, Task};
use crate::recipe::Objective;

/// The task that a row is: always of a row of prompts, and for the objective `grpo` of a row whose answer is written,
/// too, which then is the right one. Of a conversation that is its last answer.
pub(super) fn task(content: &RowContent, objective: Objective) -> Option<Task> {
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
