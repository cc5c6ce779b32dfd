//! Everything that is tested without a browser, in one program, so that it is linked once.
//!
//! - `parity`: numbers of transformers, PEFT, TRL and sentence-transformers.
//! - `architectures`: each decoder beside transformers.
//! - `answers`: prompts in the cache, answers that are stopped.
//! - `data`: data files, chat templates, token ids, loss masks, findings.
//! - `weights`: model files and adapters of other tools.
//! - `export`: what was trained in the formats of other tools.
//! - `recipe`: settings and their documentation.
//! - `rooms`: the order in which modules import each other.
//! - `training`, `preference`, `judging`, `judging_bases`, `embedding`, `grpo`, `forgetting`: whole runs with small models.
//! - `said`: what a user is told of data and settings.
//! - `hostile`: files made to hang, to crash or to fill the memory.
//! - `smollm2`: the default model.

/// The metrics of a step or an evaluation, which are of this kind of objective.
macro_rules! metrics {
    ($kind:ident, $report:expr) => {
        match $report.metrics.clone() {
            loralet::metrics::Metrics::$kind(metrics) => metrics,
            other => panic!("{other:?}"),
        }
    };
}

mod answers;
mod architectures;
mod data;
mod embedding;
mod export;
mod forgetting;
mod grpo;
mod hostile;
mod judging;
mod judging_bases;
mod parity;
mod preference;
mod recipe;
mod rooms;
mod said;
mod smollm2;
#[path = "../support/mod.rs"]
mod support;
mod training;
mod weights;
