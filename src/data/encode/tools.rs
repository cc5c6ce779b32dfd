//! Whether a chat template writes the tools that a row lists and calls.

use super::template::ChatTemplate;
use crate::data::types::Message;
use crate::error::Error;
use serde_json::{Value, json};

/// What of the tools in these messages the template leaves out or cannot take, as the half sentence that refuses the row.
pub(super) fn unwritten(template: &ChatTemplate, messages: &[Message], tools: &[Value]) -> Option<String> {
    let is_result = |message: &Message| message.role == "tool";
    if tools.is_empty() && !messages.iter().any(|m| is_result(m) || !m.tool_calls.is_empty()) {
        return None;
    }
    let text = match template.render_with_tools(messages, tools, false) {
        Ok(text) => text,
        Err(Error::ChatTemplate { reason }) => {
            return Some(format!("uses tools, and the chat template {reason}"));
        }
        Err(error) => return Some(format!("uses tools, and {error}")),
    };
    let not_written = |what: &str| Some(format!("{what}, but the chat template does not write tool calls"));
    for (index, message) in messages.iter().enumerate() {
        let before = &messages[..=index];
        let names = |change: &dyn Fn(&mut Value), place: usize| {
            let mut other = before.to_vec();
            change(&mut other[index].tool_calls[place]["function"]);
            template.render_with_tools(&other, tools, false).ok()
        };
        if message.tool_calls.is_empty() {
            continue;
        }
        let Ok(with) = template.render_with_tools(before, tools, false) else { continue };
        for place in 0..message.tool_calls.len() {
            let renamed = names(&|function| function["name"] = "another".into(), place);
            let called_otherwise =
                names(&|function| function["arguments"] = json!({"other": "words"}), place);
            if [renamed, called_otherwise].contains(&Some(with.clone())) {
                return not_written("calls a tool");
            }
        }
    }
    if messages.iter().any(is_result) {
        let mut other = messages.to_vec();
        for result in other.iter_mut().filter(|message| is_result(message)) {
            result.content.push_str("other words");
        }
        if template.render_with_tools(&other, tools, false).is_ok_and(|other| other == text) {
            return not_written("holds a tool's answer");
        }
    }
    if !tools.is_empty() && template.render_with_tools(messages, &[], false).is_ok_and(|other| other == text)
    {
        return not_written("lists tools");
    }
    None
}
