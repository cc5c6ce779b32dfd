//! Qwen3 and Qwen3-Embedding (<https://arxiv.org/abs/2505.09388>): as Llama, with a norm over each query head and each key head
//! before positions turn them, and heads that may be wider than their share of the hidden state.

use super::block::AttentionType;
use super::config::{Config, Heads, unsupported};
use super::decoder::Decoder;
use super::layers::attention::{Attention, HeadNorms};
use super::layers::mlp::Mlp;
use super::layers::pre_norm::PreNorm;
use super::layers::rotary::RotaryEmbedding;
use super::loader::Loader;
use crate::error::Result;
use serde_json::Value;

/// `head_dim` where the config leaves it out.
const HEAD_DIM: usize = 128;

/// Builds the model that a `config.json` describes.
///
/// # Errors
/// A missing key, or a setting that this implementation does not compute; whatever the loader reports.
pub fn load(config: &Value, weights: &Loader) -> Result<Decoder> {
    let config = Config(config);
    config.expect("hidden_act", "silu")?;
    if config.flag_or("attention_bias", false) {
        return Err(unsupported("attention_bias = true".into(), "supported are Qwen3 models without biases"));
    }
    let shape = config.heads(Some(HEAD_DIM))?;
    let Heads { heads, kv_heads, head_dim } = shape;
    let spec = config.decoder_spec("qwen3", shape)?;
    let (hidden, inner) = (spec.hidden_size, spec.intermediate_size);
    let (theta, scaling) = config.rope(head_dim)?;
    let rotary = RotaryEmbedding::new(head_dim, theta, &scaling);
    let (attention_types, type_of) =
        AttentionType::of_windows(&rotary, &config.windows(spec.num_hidden_layers)?);
    let eps = config.number_or("rms_norm_eps", 1e-6);
    Decoder::load(&config, spec, weights, attention_types, |i, weights| {
        let (attention, mlp) = (weights.at("self_attn"), weights.at("mlp"));
        let projections = [
            attention.linear("q_proj", heads * head_dim, hidden)?,
            attention.linear("k_proj", kv_heads * head_dim, hidden)?,
            attention.linear("v_proj", kv_heads * head_dim, hidden)?,
        ];
        let output = attention.linear("o_proj", hidden, heads * head_dim)?;
        let head_norms = HeadNorms {
            query: attention.rms_norm("q_norm", head_dim, eps)?,
            key: attention.rms_norm("k_norm", head_dim, eps)?,
        };
        let block = PreNorm {
            attention_norm: weights.rms_norm("input_layernorm", hidden, eps)?,
            attention: Attention {
                head_norms: Some(head_norms),
                attention_type: type_of[i],
                ..Attention::new(projections, output, shape)
            },
            mlp_norm: weights.rms_norm("post_attention_layernorm", hidden, eps)?,
            mlp: Mlp {
                gate: mlp.linear("gate_proj", inner, hidden)?,
                up: mlp.linear("up_proj", inner, hidden)?,
                down: mlp.linear("down_proj", hidden, inner)?,
            },
        };
        Ok(block.boxed())
    })
}
