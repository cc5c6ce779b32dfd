//! What a run reports: of each step, of each evaluation, and what each kind of objective measures beside its loss.

mod classification;
mod counts;
mod embedding;
mod preference;
mod report;
mod reward;
mod rollout;

pub use classification::ClassificationMetrics;
pub use counts::Counts;
pub use embedding::EmbeddingMetrics;
pub use preference::PreferenceMetrics;
pub use report::{Evaluation, Metrics, StepReport};
pub use reward::RewardMetrics;
pub use rollout::RolloutMetrics;
