//! Answers: token by token, with a key/value cache.

mod caller;
pub mod group;
mod prompt;
pub mod sampler;
pub mod stream;

pub use caller::Caller;
pub use prompt::{PIECE, Prompt, read_prompt};
pub use sampler::{Sampler, Sampling};
pub use stream::{Answer, StopReason, generate};
