//! The Llama family: SmolLM, SmolLM2, Llama 3.x, TinyLlama (<https://arxiv.org/abs/2302.13971>).

use super::block::AttentionType;
use super::config::{Config, Heads, unsupported};
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
    for key in ["attention_bias", "mlp_bias"] {
        if config.flag_or(key, false) {
            return Err(unsupported(format!("{key} = true"), "supported are models without biases"));
        }
    }
    config.expect("hidden_act", "silu")?;
    let shape = config.heads(None)?;
    let Heads { heads, kv_heads, head_dim } = shape;
    let spec = config.decoder_spec("llama", shape)?;
    let (hidden, inner) = (spec.hidden_size, spec.intermediate_size);
    let (theta, scaling) = config.rope(head_dim)?;
    let eps = config.number_or("rms_norm_eps", 1e-6);
    let rotary = RotaryEmbedding::new(head_dim, theta, &scaling);
    let attention_types = vec![AttentionType { rotary, window: None }];
    Decoder::load(&config, spec, weights, attention_types, |_, weights| {
        let (attention, mlp) = (weights.at("self_attn"), weights.at("mlp"));
        let block = PreNorm {
            attention_norm: weights.rms_norm("input_layernorm", hidden, eps)?,
            attention: Attention::new(
                [
                    attention.linear("q_proj", heads * head_dim, hidden)?,
                    attention.linear("k_proj", kv_heads * head_dim, hidden)?,
                    attention.linear("v_proj", kv_heads * head_dim, hidden)?,
                ],
                attention.linear("o_proj", hidden, heads * head_dim)?,
                shape,
            ),
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
