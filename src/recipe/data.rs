use crate::data::Fix;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DataRecipe {
    /// Put the prompt's tokens into the loss too. Default false.
    pub train_on_prompt: bool,
    /// Share of the training rows that are general text, mixed in so that less is forgotten. Default 0.
    pub general_fraction: f64,
    /// Changes to the rows before anything else, in this order; what they did is in the run's record. Default none.
    #[serde(deserialize_with = "Fix::list")]
    pub fix: Vec<Fix>,
    /// Only so many rows, from the beginning of the file, are used. Default null: all.
    pub max_rows: Option<usize>,
    /// Which columns are which, where detection is not enough.
    pub mapping: Option<crate::data::ColumnMapping>,
}
