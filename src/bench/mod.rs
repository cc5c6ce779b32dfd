//! What `cargo xtask bench` times, natively and in the browser alike: whole LoRA steps and the operations they are made of.

pub mod ops;
pub mod steps;
mod work;

use crate::error::{Error, Result};
use serde::Deserialize;

/// Sizes and settings of one comparison. The embeddings are tied.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Workload {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub ffn: usize,
    pub vocab: usize,
    pub rope_theta: f64,
    pub eps: f64,
    pub batch: usize,
    pub seq: usize,
    #[cfg_attr(test, ts(inline))]
    pub lora: Lora,
    #[cfg_attr(test, ts(inline))]
    pub adamw: AdamWSettings,
}

#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Lora {
    pub r: usize,
    pub alpha: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AdamWSettings {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
}

impl Workload {
    /// # Errors
    /// Sizes that make no model.
    fn check(&self) -> Result<()> {
        let Workload { hidden, layers, heads, kv_heads, head_dim, ffn, vocab, batch, seq, .. } = *self;
        let sizes = [hidden, layers, heads, kv_heads, head_dim, ffn, vocab, batch, seq, self.lora.r];
        let wrong = if sizes.contains(&0) {
            "a size or the rank is 0"
        } else if heads % kv_heads != 0 {
            "heads is no multiple of kv_heads"
        } else if head_dim % 2 != 0 {
            "head_dim is odd"
        } else {
            return Ok(());
        };
        Err(Error::InvalidRecipe { reason: format!("workload: {wrong}") })
    }
}
