use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct EvalRecipe {
    /// Share of the rows held out. Default 0.1.
    pub validation_fraction: f64,
    /// Steps between evaluations. Default 20.
    pub eval_steps: usize,
    /// Ends the run after this many evaluations in a row without a lower held-out loss, and takes back the values that
    /// had the lowest, also where the run ends by itself. Default null: the run goes on to its last step.
    pub early_stopping_patience: Option<usize>,
    /// Scores general text before training and at each evaluation, to see what the model forgets. Default true.
    pub probe: bool,
}

impl Default for EvalRecipe {
    fn default() -> Self {
        EvalRecipe { validation_fraction: 0.1, eval_steps: 20, early_stopping_patience: None, probe: true }
    }
}
