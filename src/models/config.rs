//! Reading a `config.json`: what all architectures say, and the words for what is wrong with it.

use super::layers::rotary::RopeScaling;
use super::score;
use crate::error::{Error, Result};
use serde_json::Value;

/// What is known of a model without looking into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// `model_type`
    pub architecture: &'static str,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// As many as attention heads where they are not grouped.
    pub num_key_value_heads: usize,
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    /// Whether the embedding is the output projection too; an encoder has none.
    pub tie_word_embeddings: bool,
    /// Standard deviation of weights that are drawn anew.
    pub initializer_range: f64,
    /// The path of the blocks, `model.layers`.
    pub blocks: String,
}

/// A `config.json`.
pub struct Config<'a>(pub &'a Value);

impl Config<'_> {
    /// A positive whole number.
    ///
    /// # Errors
    /// Another value, or one that no model has.
    pub fn size(&self, key: &str) -> Result<usize> {
        /// More than any size of a model; their products fit into 64 bits.
        const MOST: u64 = 1 << 24;
        match self.0[key].as_u64() {
            Some(value) if value > 0 && value <= MOST => Ok(value as usize),
            Some(value) if value > 0 => {
                Err(invalid(format!("\"{key}\" is {value}, which no model has; download the file again")))
            }
            _ => Err(invalid(format!("\"{key}\" is {} where a positive whole number belongs", self.0[key]))),
        }
    }

    /// The same, with a default for a key that is missing or null.
    ///
    /// # Errors
    /// As for [`Config::size`].
    pub fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.0[key].is_null() { Ok(default) } else { self.size(key) }
    }

    pub fn number_or(&self, key: &str, default: f64) -> f64 {
        self.0[key].as_f64().unwrap_or(default)
    }

    pub fn flag_or(&self, key: &str, default: bool) -> bool {
        self.0[key].as_bool().unwrap_or(default)
    }

    /// # Errors
    /// The text under this key is another one; a key that is missing is taken for this one.
    pub fn expect(&self, key: &str, computed: &str) -> Result<()> {
        match self.0[key].as_str() {
            Some(other) if other != computed => {
                Err(unsupported(format!("{key} {}", self.0[key]), &format!("supported is \"{computed}\"")))
            }
            _ => Ok(()),
        }
    }

    /// The classes of a decoder's `score` head, in the order of its rows; `None` of a language model.
    pub fn decoder_labels(&self) -> Option<Vec<String>> {
        score::decoder_labels(self.0)
    }

    /// The classes of an encoder's `score` head; `None` of an encoder alone.
    pub fn encoder_labels(&self) -> Option<Vec<String>> {
        score::encoder_labels(self.0)
    }

    /// What most decoders say under the same keys.
    ///
    /// # Errors
    /// A missing key, or a size that is none.
    pub fn decoder_spec(&self, architecture: &'static str, heads: Heads) -> Result<Spec> {
        Ok(Spec {
            architecture,
            hidden_size: self.size("hidden_size")?,
            intermediate_size: self.size("intermediate_size")?,
            num_hidden_layers: self.size("num_hidden_layers")?,
            num_attention_heads: heads.heads,
            num_key_value_heads: heads.kv_heads,
            vocab_size: self.size("vocab_size")?,
            max_position_embeddings: self.size_or("max_position_embeddings", 2048)?,
            tie_word_embeddings: self.flag_or("tie_word_embeddings", false),
            initializer_range: self.number_or("initializer_range", 0.02),
            blocks: "model.layers".into(),
        })
    }

    /// What a decoder's attention is shaped by. Where the config does not say how wide a head is, `head_dim` is its default, or
    /// the heads share the hidden state.
    ///
    /// # Errors
    /// Heads that cannot be shared.
    pub fn heads(&self, head_dim: Option<usize>) -> Result<Heads> {
        let (hidden_size, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        let kv_heads = self.size_or("num_key_value_heads", heads)?;
        let head_dim = self.size_or("head_dim", head_dim.unwrap_or(hidden_size / heads))?;
        if heads % kv_heads != 0 || head_dim % 2 != 0 || head_dim == 0 {
            return Err(invalid(format!(
                "{heads} attention heads of {head_dim} channels cannot be shared by {kv_heads} key/value heads"
            )));
        }
        Ok(Heads { heads, kv_heads, head_dim })
    }

    /// How many tokens the attention of each block sees, itself included; `None` for all of its document.
    ///
    /// # Errors
    /// A kind of layer that is not computed, or a window without its size.
    pub fn windows(&self, layers: usize) -> Result<Vec<Option<usize>>> {
        let is_local = |i: usize| match self.0["layer_types"][i].as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            Some(other) => Err(unsupported(
                format!("layer type \"{other}\""),
                "supported are \"full_attention\" and \"sliding_attention\"",
            )),
            // What transformers makes of a config that does not list them.
            None => {
                let is_on = self.flag_or("use_sliding_window", false) && !self.0["sliding_window"].is_null();
                Ok(is_on && i as u64 >= self.0["max_window_layers"].as_u64().unwrap_or(28))
            }
        };
        let window = |i| Ok(if is_local(i)? { Some(self.size("sliding_window")?) } else { None });
        (0..layers).map(window).collect()
    }

    /// Base and scaling of the rotary embedding, of heads of `head_dim` channels.
    ///
    /// # Errors
    /// A scaling that is not computed, or one that lacks a number.
    pub fn rope(&self, head_dim: usize) -> Result<(f64, RopeScaling)> {
        let config = self.0;
        // transformers 5 moved rope settings into `rope_parameters`.
        let rope = match config["rope_parameters"].is_object() {
            true => &config["rope_parameters"],
            false => &config["rope_scaling"],
        };
        let theta = rope["rope_theta"].as_f64().unwrap_or_else(|| self.number_or("rope_theta", 10_000.0));
        Ok((theta, rope_scaling(config, rope, head_dim)?))
    }
}

/// The heads of grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

fn rope_scaling(config: &Value, rope: &Value, head_dim: usize) -> Result<RopeScaling> {
    if let Some(factors) = config["rope_freq_factors"].as_array() {
        let factors: Vec<f32> = factors.iter().filter_map(|f| f.as_f64().map(|f| f as f32)).collect();
        if factors.len() != head_dim / 2 {
            return Err(invalid(format!("{} rope factors for {} channels", factors.len(), head_dim)));
        }
        return Ok(RopeScaling::Factors(factors));
    }
    let kind = rope["rope_type"].as_str().or(rope["type"].as_str()).unwrap_or("default");
    let number = |key: &str| -> Result<f64> {
        rope[key]
            .as_f64()
            .filter(|value| *value > 0.0)
            .ok_or_else(|| invalid(format!("rope scaling \"{kind}\" lacks a positive \"{key}\"")))
    };
    match kind {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: number("factor")? }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position: number("original_max_position_embeddings")?,
        }),
        other => {
            Err(unsupported(format!("rope scaling \"{other}\""), "supported are \"linear\" and \"llama3\""))
        }
    }
}

/// A `config.json` that says what cannot be.
pub fn invalid(reason: String) -> Error {
    Error::InvalidModelFile { file: "config.json".into(), reason }
}

/// A `config.json` that asks for what is not computed.
pub fn unsupported(what: String, supported: &str) -> Error {
    Error::Unsupported { file: "config.json".into(), what, supported: supported.into() }
}
