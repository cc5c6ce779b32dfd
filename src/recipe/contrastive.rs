use serde::{Deserialize, Serialize};

/// How texts are drawn together; for the objective `contrastive`. Name and default are sentence-transformers'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ContrastiveRecipe {
    /// Cosines are multiplied by this before they are compared: the higher, the more the nearest wrong text counts.
    /// Default 20.
    pub scale: f64,
}

impl Default for ContrastiveRecipe {
    fn default() -> Self {
        ContrastiveRecipe { scale: 20.0 }
    }
}
