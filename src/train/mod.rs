//! The training loop and what it needs. One loop serves every objective: the loss is an
//! argument.

pub mod checkpoint;
pub mod early_stopping;
pub mod optimizer;
pub mod plan;
pub mod rollout;
pub mod schedule;
pub mod steps;
pub mod trainer;

pub use plan::Plan;
pub use trainer::Trainer;
