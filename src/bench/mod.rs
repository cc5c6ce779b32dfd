//! What `cargo xtask bench` times, natively and in the browser alike: whole LoRA steps and the operations they are made of.

pub mod ops;
pub mod steps;
mod work;

use serde::Deserialize;

/// Sizes and settings of one comparison. The embeddings are tied.
#[derive(Debug, Clone, Deserialize)]
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
    pub lora: Lora,
    pub adamw: AdamWSettings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Lora {
    pub r: usize,
    pub alpha: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct AdamWSettings {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
}
