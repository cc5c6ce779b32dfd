//! Continued pretraining on raw text: cross-entropy of every next token.
//!
//! The data stage marks every token as a target, so the loss is [`super::sft`]'s.

pub use super::sft::{Sft as Text, loss};
