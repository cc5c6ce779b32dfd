//! Answers: token by token, with a key/value cache.

pub mod group;
pub mod sampler;
pub mod stream;

pub use sampler::{Sampler, Sampling};
pub use stream::{Answer, StopReason, generate};
