//! Whether fine-tuning was worth it: held-out rows asked of the base, of the base with examples in its prompt, and of the tuned
//! model.

mod verdict;

pub use verdict::{Lead, Scores, mean, sentence};

use crate::metrics::{Better, Unit};
use serde::Serialize;

/// A way to get an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Way {
    /// The base as it is.
    Base,
    /// The base with rows of the training split in its prompt.
    Examples,
    Tuned,
}

/// What was measured, over the rows that were asked in every way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Worth {
    /// Rows that were asked.
    pub rows: usize,
    /// Rows that are held out.
    pub held_out: usize,
    /// Rows of the training split in the prompt of [`Way::Examples`].
    pub examples: usize,
    /// It was stopped before all rows were asked.
    pub stopped: bool,
    pub ways: Vec<WayWorth>,
    /// What was asked, and what was answered; empty for models that write no answer.
    pub answers: Vec<AskedRow>,
    /// What follows of it.
    pub sentence: String,
    /// Sentences on what else there is to know.
    pub notes: Vec<String>,
}

/// What a way to get an answer reaches and takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct WayWorth {
    pub way: Way,
    /// The most important first; the same for all ways.
    pub figures: Vec<WorthFigure>,
    /// Tokens in the prompt, the mean over the rows.
    pub prompt_tokens: f64,
    /// Seconds an answer, its prompt included, the mean over the rows.
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct WorthFigure {
    /// As it stands within a sentence.
    pub name: String,
    pub value: f64,
    pub better: Better,
    pub unit: Unit,
}

/// A row with the answers that it got.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct AskedRow {
    /// Line of the file, from 1.
    pub line: usize,
    /// What its last message asks.
    pub question: String,
    /// The row's own answer, where it has one.
    pub answer: Option<String>,
    /// In the order of [`Worth::ways`].
    pub given: Vec<String>,
}
