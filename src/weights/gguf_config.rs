//! GGUF metadata as the keys of a Hugging Face `config.json`.

use super::gguf::{Gguf, MetadataValue, read_f32};
use super::names::{self, Names};
use super::source::ByteSource;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// The `config.json` that the file's metadata amounts to.
///
/// Llama 3's rope scaling is stored as one factor per frequency, in the tensor `rope_freqs.weight`.
/// Where the factors follow Llama 3's published rule, `rope_scaling` gives the rule; otherwise
/// `rope_freq_factors` gives the factors: frequency `i` is `rope_theta^(-2i/head_dim) / factor[i]`.
///
/// # Errors
/// An architecture that is not known, a detail of one that is not supported, or missing keys.
pub fn config(gguf: &Gguf, source: &dyn ByteSource) -> Result<Value> {
    let (architecture, names) = architecture(gguf)?;
    check_kind(gguf, architecture)?;
    let hidden = required(gguf, "embedding_length")?;
    let heads = required(gguf, "attention.head_count")?;
    let kv_heads = uniform(gguf, "attention.head_count_kv")?.unwrap_or(heads);
    if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(gguf.invalid(format!(
            "has {heads} attention heads and {kv_heads} key/value heads, which do not fit together"
        )));
    }
    let head_dim = uniform(gguf, "attention.key_length")?
        .or(uniform(gguf, "rope.dimension_count")?)
        .unwrap_or(hidden / heads);
    check_head_dim(gguf, head_dim)?;

    let Some(embedding) = gguf.tensors.iter().find(|tensor| tensor.name == "token_embd.weight") else {
        return Err(gguf.invalid(
            "has no tensor \"token_embd.weight\", so it is not a whole model; use the model's full file"
                .into(),
        ));
    };
    let has = |name: &str| gguf.tensors.iter().any(|tensor| tensor.name == name);
    let mut config = json!({
        "architectures": [names.class],
        "model_type": names.model_type,
        "hidden_size": hidden,
        "intermediate_size": required(gguf, "feed_forward_length")?,
        "num_hidden_layers": required(gguf, "block_count")?,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": number(gguf, "attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5),
        "rope_theta": number(gguf, "rope.freq_base")?.unwrap_or(10_000.0),
        "rope_scaling": null,
        "vocab_size": embedding.shape.first(),
        "max_position_embeddings": required(gguf, "context_length")?,
        "tie_word_embeddings": !has("output.weight"),
        "attention_bias": has("blk.0.attn_q.bias"),
        "mlp_bias": has("blk.0.ffn_down.bias"),
        "bos_token_id": gguf.unsigned("tokenizer.ggml.bos_token_id")?,
        "eos_token_id": gguf.unsigned("tokenizer.ggml.eos_token_id")?,
        "pad_token_id": gguf.unsigned("tokenizer.ggml.padding_token_id")?,
    });
    if let Some(keys) = config.as_object_mut() {
        rope_scaling(gguf, source, head_dim, keys)?;
    }
    Ok(config)
}

/// What the file says that its architecture is, and how its tensors are named.
///
/// # Errors
/// It says nothing, or names one that is not known.
pub(super) fn architecture(gguf: &Gguf) -> Result<(&str, &'static Names)> {
    if let Some(kind) = gguf.text("general.type")?.filter(|&kind| kind != "model") {
        return Err(unsupported(
            gguf,
            format!("a GGUF file of type \"{kind}\""),
            "open the model's own file",
        ));
    }
    let Some(architecture) = gguf.text("general.architecture")? else {
        return Err(gguf.invalid("does not say its architecture (metadata \"general.architecture\"); use another copy of the model".into()));
    };
    match names::names_of(architecture) {
        Some(names) => Ok((architecture, names)),
        None => Err(unsupported(gguf, format!("the architecture \"{architecture}\""), names::SUPPORTED)),
    }
}

fn check_kind(gguf: &Gguf, architecture: &str) -> Result<()> {
    let parts = gguf.unsigned("split.count")?.unwrap_or(1);
    if parts > 1 {
        return Err(unsupported(
            gguf,
            format!("a model split over {parts} GGUF files"),
            "merge them into one with llama.cpp's llama-gguf-split --merge",
        ));
    }
    if gguf.unsigned(&key(gguf, "expert_count"))?.unwrap_or(0) > 0 {
        let remedy = format!("use a dense model of the {architecture} architecture");
        return Err(unsupported(gguf, "a mixture of experts".into(), &remedy));
    }
    Ok(())
}

fn unsupported(gguf: &Gguf, what: String, supported: &str) -> Error {
    Error::Unsupported { file: gguf.file.clone(), what, supported: supported.into() }
}

/// `llama.context_length`
pub(super) fn key(gguf: &Gguf, key: &str) -> String {
    let architecture = gguf.text("general.architecture").ok().flatten().unwrap_or_default();
    format!("{architecture}.{key}")
}

fn number(gguf: &Gguf, name: &str) -> Result<Option<f64>> {
    gguf.number(&key(gguf, name))
}

fn check_head_dim(gguf: &Gguf, head_dim: u64) -> Result<()> {
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        return Err(gguf.invalid(format!(
            "has attention heads of {head_dim} channels; an even number above 0 is needed"
        )));
    }
    for (key, what) in [("rope.dimension_count", "a rotary embedding"), ("attention.value_length", "values")]
    {
        let channels = uniform(gguf, key)?.unwrap_or(head_dim);
        if channels != head_dim {
            return Err(Error::Unsupported {
                file: gguf.file.clone(),
                what: format!("{what} of {channels} channels in heads of {head_dim}"),
                supported: "supported are models where the two are the same".into(),
            });
        }
    }
    Ok(())
}

fn rope_scaling(
    gguf: &Gguf,
    source: &dyn ByteSource,
    head_dim: u64,
    config: &mut Map<String, Value>,
) -> Result<()> {
    let factor = match number(gguf, "rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => number(gguf, "rope.scale_linear")?,
    };
    let kind = gguf.text(&key(gguf, "rope.scaling.type"))?.unwrap_or(if factor.is_some() {
        "linear"
    } else {
        "none"
    });
    match kind {
        "none" => {}
        "linear" => {
            if let Some(factor) = factor.filter(|&factor| factor != 1.0) {
                config["rope_scaling"] = json!({ "rope_type": "linear", "factor": factor });
            }
        }
        kind => {
            let mut scaling = json!({ "rope_type": kind, "factor": factor });
            for (setting, name) in [
                ("original_context_length", "original_max_position_embeddings"),
                ("yarn_beta_fast", "beta_fast"),
                ("yarn_beta_slow", "beta_slow"),
                ("attn_factor", "attention_factor"),
            ] {
                match gguf.get(&key(gguf, &format!("rope.scaling.{setting}"))) {
                    Some(value) if name == "original_max_position_embeddings" => {
                        scaling[name] = json!(value.as_unsigned())
                    }
                    Some(value) => scaling[name] = json!(value.as_number()),
                    None => {}
                }
            }
            config["rope_scaling"] = scaling;
        }
    }

    if let Some(tensor) = gguf.tensors.iter().find(|tensor| tensor.name == "rope_freqs.weight") {
        if tensor.shape != [head_dim as usize / 2] {
            return Err(Error::InvalidTensor {
                file: gguf.file.clone(),
                tensor: tensor.name.clone(),
                reason: format!(
                    "has shape {:?}, but heads of {head_dim} channels need one factor for two channels",
                    tensor.shape
                ),
            });
        }
        let factors = read_f32(source, tensor)?;
        let theta = config["rope_theta"].as_f64().unwrap_or(10_000.0);
        match llama3_rule(&factors, theta) {
            Some(rule) => config["rope_scaling"] = rule,
            None => {
                let factors: Vec<_> =
                    factors.iter().map(|&factor| MetadataValue::F32(factor).as_number()).collect();
                config.insert("rope_freq_factors".into(), json!(factors));
            }
        }
    }
    Ok(())
}

/// Llama 3's `rope_scaling`, if it gives these factors. The rule's settings are not stored
/// in the file; all published models share them except for the factor itself.
fn llama3_rule(factors: &[f32], theta: f64) -> Option<Value> {
    const LOW_FREQ_FACTOR: f64 = 1.0;
    const HIGH_FREQ_FACTOR: f64 = 4.0;
    const ORIGINAL_CONTEXT: f64 = 8192.0;
    let factor = factors.iter().copied().max_by(f32::total_cmp).filter(|&factor| factor > 1.0)? as f64;
    let follows = factors.iter().enumerate().all(|(i, &stored)| {
        let frequency = theta.powf(-(i as f64) / factors.len() as f64);
        let turns = ORIGINAL_CONTEXT * frequency / std::f64::consts::TAU;
        let smooth = ((turns - LOW_FREQ_FACTOR) / (HIGH_FREQ_FACTOR - LOW_FREQ_FACTOR)).clamp(0.0, 1.0);
        let expected = 1.0 / ((1.0 - smooth) / factor + smooth);
        (stored as f64 - expected).abs() <= 1e-4 * expected
    });
    follows.then(|| {
        json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": LOW_FREQ_FACTOR,
            "high_freq_factor": HIGH_FREQ_FACTOR,
            "original_max_position_embeddings": ORIGINAL_CONTEXT as u64,
        })
    })
}

fn required(gguf: &Gguf, name: &str) -> Result<u64> {
    uniform(gguf, name)?.ok_or_else(|| {
        gguf.invalid(format!(
            "metadata \"{}\" is missing; the file is incomplete, use another copy of the model",
            key(gguf, name)
        ))
    })
}

/// A whole number, which some files give as a list with one entry for each layer.
fn uniform(gguf: &Gguf, name: &str) -> Result<Option<u64>> {
    let key = key(gguf, name);
    let Some(MetadataValue::List(list)) = gguf.get(&key) else {
        return gguf.unsigned(&key);
    };
    let mut values = list.scalars().into_iter().flatten();
    match values.next() {
        Some(first) if values.all(|value| value == first) => {
            first.as_unsigned().map(Some).ok_or_else(|| gguf.wrong_type(&key, "a whole number"))
        }
        _ => Err(Error::Unsupported {
            file: gguf.file.clone(),
            what: format!("\"{key}\" that differs between layers"),
            supported: "supported are models whose layers are all alike".into(),
        }),
    }
}
