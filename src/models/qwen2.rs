//! Qwen2 and Qwen2.5, their Coder and Math models, and what is distilled into them (<https://arxiv.org/abs/2407.10671>): as Llama,
//! with biases of queries, keys and values, and, where the config asks for it, a sliding window in the upper blocks.

use super::block::AttentionType;
use super::config::{Config, Heads};
use super::decoder::Decoder;
use super::layers::attention::Attention;
use super::layers::mlp::Mlp;
use super::layers::pre_norm::PreNorm;
use super::layers::rotary::RotaryEmbedding;
use super::loader::Loader;
use crate::error::Result;
use serde_json::Value;

/// Builds the model that a `config.json` describes.
///
/// # Errors
/// A missing key, or a setting that this implementation does not compute; whatever the loader reports.
pub fn load(config: &Value, weights: &Loader) -> Result<Decoder> {
    let config = Config(config);
    config.expect("hidden_act", "silu")?;
    let shape = config.heads(None)?;
    let Heads { heads, kv_heads, head_dim } = shape;
    let spec = config.decoder_spec("qwen2", shape)?;
    let (hidden, inner) = (spec.hidden_size, spec.intermediate_size);
    let (theta, scaling) = config.rope(head_dim)?;
    let rotary = RotaryEmbedding::new(head_dim, theta, &scaling);
    let (attention_types, type_of) =
        AttentionType::of_windows(&rotary, &config.windows(spec.num_hidden_layers)?);
    let eps = config.number_or("rms_norm_eps", 1e-6);
    Decoder::load(&config, spec, weights, attention_types, |i, weights| {
        let (attention, mlp) = (weights.at("self_attn"), weights.at("mlp"));
        let projections = [
            attention.linear_with_bias("q_proj", heads * head_dim, hidden)?,
            attention.linear_with_bias("k_proj", kv_heads * head_dim, hidden)?,
            attention.linear_with_bias("v_proj", kv_heads * head_dim, hidden)?,
        ];
        let output = attention.linear("o_proj", hidden, heads * head_dim)?;
        let block = PreNorm {
            attention_norm: weights.rms_norm("input_layernorm", hidden, eps)?,
            attention: Attention { attention_type: type_of[i], ..Attention::new(projections, output, shape) },
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
