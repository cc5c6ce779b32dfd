use super::TargetModules;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct LoraRecipe {
    /// Width of the low-rank path. Default 16.
    pub rank: usize,
    /// The path is scaled by alpha / rank. Default 32.
    pub alpha: f64,
    /// Share of the path's inputs zeroed while training. Default 0.
    pub dropout: f64,
    /// Linear layers that get an adapter: `"all-linear"`, or a list of names, each of which stands for every layer whose path
    /// ends in it. Default: `"all-linear"`, all of every block.
    pub target_modules: TargetModules,
    /// Modules trained whole and saved beside the adapter: `embed_tokens`, `lm_head`. A `score` head
    /// always is. Default: none.
    pub modules_to_save: Vec<String>,
    /// Scale by alpha / √rank instead (<https://arxiv.org/abs/2312.03732>). Default false.
    pub use_rslora: bool,
    /// Weight-decomposed LoRA: the size of each output is trained beside its direction
    /// (<https://arxiv.org/abs/2402.09353>). Default false.
    pub use_dora: bool,
    /// LoRA+: how many times the learning rate of A that of B is (<https://arxiv.org/abs/2402.12354>). Default 1.
    pub loraplus_lr_ratio: f64,
}

/// Modules that can be trained whole beside an adapter.
pub const SAVED_MODULES: [&str; 3] = ["embed_tokens", "lm_head", "score"];

impl Default for LoraRecipe {
    fn default() -> Self {
        LoraRecipe {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            target_modules: TargetModules::AllLinear,
            modules_to_save: Vec::new(),
            use_rslora: false,
            use_dora: false,
            loraplus_lr_ratio: 1.0,
        }
    }
}

impl LoraRecipe {
    /// The factor on a low-rank path: alpha / rank, or alpha / √rank for rsLoRA.
    pub fn scale(&self, rank: usize, alpha: f64) -> f64 {
        let rank = rank as f64;
        if self.use_rslora { alpha / rank.sqrt() } else { alpha / rank }
    }
}
