//! How rows are encoded.

use crate::recipe::Objective;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncodeOptions {
    pub objective: Objective,
    /// In tokens; at least 2.
    pub max_seq_length: usize,
    /// Train on every token of a conversation, not only on the assistant's.
    pub train_on_prompt: bool,
}
