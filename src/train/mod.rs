//! The training loop and what it needs. One loop serves every objective: the loss is an
//! argument.

pub mod checkpoint;
mod compared;
pub mod early_stopping;
pub mod judged;
pub mod metrics;
pub mod optimizer;
pub mod plan;
mod rolled;
pub mod rollout;
pub mod schedule;
pub mod steps;
pub mod trainer;

pub use judged::{ClassificationMetrics, RewardMetrics};
pub use metrics::{EmbeddingMetrics, Evaluation, PreferenceMetrics, RolloutMetrics, StepReport};
pub use plan::Plan;
pub use trainer::Trainer;
