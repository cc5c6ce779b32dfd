//! What is trained: a set of parameters that can be attached to a base model, detached,
//! compared and saved. The base itself is never modified.

mod dora;
pub mod lora;
mod strength;
pub mod target;
pub mod trainable;
mod whole;

pub use target::{Target, resolve_modules};
pub use trainable::{Leaf, Parameter, Trainable};
pub use whole::frozen_blocks;
