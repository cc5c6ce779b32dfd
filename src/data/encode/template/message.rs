//! A message as chat templates read it.

use crate::data::types::Message;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What the message does not have is not there.
pub(super) struct TemplateMessage<'a> {
    pub message: &'a Message,
    pub reasoning_field: Option<&'static str>,
}

impl Serialize for TemplateMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let TemplateMessage { message, reasoning_field } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &message.role)?;
        map.serialize_entry("content", &message.content)?;
        if let (Some(field), Some(reasoning)) = (reasoning_field, &message.reasoning) {
            map.serialize_entry(field, &reasoning.text)?;
        }
        if !message.tool_calls.is_empty() {
            map.serialize_entry("tool_calls", &message.tool_calls)?;
        }
        for (key, value) in [("name", &message.name), ("tool_call_id", &message.tool_call_id)] {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
