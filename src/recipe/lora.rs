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
    /// Linear layers that get an adapter, by the ends of their names. Default: all seven of a Llama block, which for a
    /// BERT encoder mean all six of its own (`query`, `key`, `value`, `attention.output.dense`,
    /// `intermediate.dense`, `output.dense`).
    pub target_modules: Vec<String>,
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

/// The linear layers of a Llama block, in checkpoint order.
pub const LINEAR_MODULES: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// The linear layers of a BERT block, by the ends of their paths, in checkpoint order. As PEFT reads them,
/// `output.dense` is `attention.output.dense` too.
pub const BERT_LINEAR_MODULES: [&str; 6] =
    ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"];

/// Modules that can be trained whole beside an adapter.
pub const SAVED_MODULES: [&str; 3] = ["embed_tokens", "lm_head", "score"];

impl Default for LoraRecipe {
    fn default() -> Self {
        LoraRecipe {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            target_modules: LINEAR_MODULES.map(String::from).to_vec(),
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
