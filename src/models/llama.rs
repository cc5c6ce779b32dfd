//! The Llama family: SmolLM, SmolLM2, Llama 3.x, TinyLlama.

use super::checkpointing::Tape;
use super::layers::attention::{Attention, KeyValueCache, first_keys};
use super::layers::linear::{Linear, forward_together};
use super::layers::rms_norm::RmsNorm;
use super::layers::rotary::{RopeScaling, RotaryEmbedding, Rotation};
use super::score::{self, Score};
use super::{Input, ReadWeights, float_tensor, int_tensor};
use crate::error::{Error, Result};
use crate::kernels::blocks::{Blocks, Matrix};
use crate::kernels::lasting;
use crate::kernels::swiglu::swiglu;
use burn::tensor::{Device, Tensor};
use serde_json::Value;

/// The keys of `config.json` that decide the computation.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    pub rope_scaling: RopeScaling,
    pub tie_word_embeddings: bool,
    /// Standard deviation of weights that are drawn anew.
    pub initializer_range: f64,
    /// `id2label` of a sequence classifier, in the order of its `score` head's rows; `None` for a
    /// language model.
    pub labels: Option<Vec<String>>,
}

/// A Llama model. Cloning is cheap: tensors are shared.
#[derive(Debug, Clone)]
pub struct Llama {
    pub config: LlamaConfig,
    /// `[vocab, hidden]`
    pub embed_tokens: Matrix,
    pub layers: Vec<DecoderLayer>,
    pub norm: RmsNorm,
    /// `[vocab, hidden]`; `None` when tied to `embed_tokens`, and in a sequence classifier.
    pub lm_head: Option<Matrix>,
    /// What a sequence classifier or a reward model has in place of the output projection.
    pub score: Option<Score>,
    /// With block checkpointing, where forward passes leave what the backward pass needs.
    pub tape: Option<Tape>,
    rotary: RotaryEmbedding,
}

#[derive(Debug, Clone)]
pub struct DecoderLayer {
    pub input_layernorm: RmsNorm,
    pub self_attn: Attention,
    pub post_attention_layernorm: RmsNorm,
    pub mlp: Mlp,
}

/// SwiGLU (<https://arxiv.org/abs/2002.05202>).
#[derive(Debug, Clone)]
pub struct Mlp {
    pub gate_proj: Linear,
    pub up_proj: Linear,
    pub down_proj: Linear,
}

/// One trainable weight, by the rank of its tensor.
pub enum Weight<'a> {
    Matrix(&'a mut Tensor<2>),
    /// Of a linear layer or an embedding, which may lie in blocks.
    Linear(&'a mut Matrix),
    Vector(&'a mut Tensor<1>),
}

impl Llama {
    /// Builds the model from weights read by checkpoint name.
    ///
    /// # Errors
    /// Whatever `read` reports: a missing tensor, a wrong shape.
    pub fn load(config: LlamaConfig, read: &dyn ReadWeights, device: &Device) -> Result<Llama> {
        let numbers = |name: &str, rows: usize, columns: usize| -> Result<Tensor<2>> {
            let values = read.values(name, &[rows, columns])?;
            Ok(lasting(device, values, |values| float_tensor(values, [rows, columns], device)))
        };
        let matrix = |name: &str, rows: usize, columns: usize| -> Result<Matrix> {
            Ok(match read.blocks(name, [rows, columns])? {
                Some(blocks) => Matrix::Blocks(Blocks::new(blocks, [rows, columns], device)),
                None => Matrix::Dense(numbers(name, rows, columns)?),
            })
        };
        let norm = |name: &str| -> Result<RmsNorm> {
            let weight =
                float_tensor(read.values(name, &[config.hidden_size])?, [config.hidden_size], device);
            Ok(RmsNorm { weight, eps: config.rms_norm_eps })
        };
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let q_width = config.num_attention_heads * config.head_dim;
        let kv_width = config.num_key_value_heads * config.head_dim;
        let mut layers = Vec::new();
        for i in 0..config.num_hidden_layers {
            let at = |part: &str| format!("model.layers.{i}.{part}.weight");
            let linear = |part: &str, out, input| matrix(&at(part), out, input).map(Linear::new);
            layers.push(DecoderLayer {
                input_layernorm: norm(&at("input_layernorm"))?,
                self_attn: Attention {
                    q_proj: linear("self_attn.q_proj", q_width, hidden)?,
                    k_proj: linear("self_attn.k_proj", kv_width, hidden)?,
                    v_proj: linear("self_attn.v_proj", kv_width, hidden)?,
                    o_proj: linear("self_attn.o_proj", hidden, q_width)?,
                    num_attention_heads: config.num_attention_heads,
                    num_key_value_heads: config.num_key_value_heads,
                    head_dim: config.head_dim,
                },
                post_attention_layernorm: norm(&at("post_attention_layernorm"))?,
                mlp: Mlp {
                    gate_proj: linear("mlp.gate_proj", ffn, hidden)?,
                    up_proj: linear("mlp.up_proj", ffn, hidden)?,
                    down_proj: linear("mlp.down_proj", hidden, ffn)?,
                },
            });
        }
        let lm_head = match config.tie_word_embeddings || config.labels.is_some() {
            true => None,
            false => Some(matrix("lm_head.weight", config.vocab_size, hidden)?),
        };
        let score = match &config.labels {
            Some(labels) => {
                Some(Score { weight: numbers(score::WEIGHT, labels.len(), hidden)?, labels: labels.clone() })
            }
            None => None,
        };
        Ok(Llama {
            embed_tokens: matrix("model.embed_tokens.weight", config.vocab_size, hidden)?,
            norm: norm("model.norm.weight")?,
            rotary: RotaryEmbedding::new(config.head_dim, config.rope_theta, &config.rope_scaling),
            lm_head,
            score,
            tape: None,
            layers,
            config,
        })
    }

    /// A copy with this head in place of the output projection.
    pub fn with_score(&self, score: Score) -> Llama {
        let config = LlamaConfig { labels: Some(score.labels.clone()), ..self.config.clone() };
        Llama { config, lm_head: None, score: Some(score), ..self.clone() }
    }

    /// The final hidden states of a micro-batch.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        let device = self.embed_tokens.device().inner();
        let rotation = self.rotary.rotation(input.position_ids, &device);
        let first_keys = first_keys(input, &device);
        let x = self.embed(input.input_ids);
        let x = match &self.tape {
            Some(tape) => tape.forward(self, x, input.seq, &rotation, &first_keys),
            None => {
                self.layers.iter().fold(x, |x, layer| layer.forward(x, input.seq, &rotation, &first_keys))
            }
        };
        self.norm.forward(x)
    }

    /// Continues sequences of the same length, whose earlier tokens are in `caches` (one a layer).
    ///
    /// # Shapes
    /// - input_ids: `[batch * seq]`
    /// - output: `[batch * seq, hidden]`
    pub fn forward_cached(&self, input_ids: &[u32], batch: usize, caches: &mut [KeyValueCache]) -> Tensor<2> {
        let device = self.embed_tokens.device();
        let (past, seq) = (caches[0].len(), input_ids.len() / batch);
        let positions: Vec<u32> =
            (0..batch).flat_map(|_| past..past + seq).map(|position| position as u32).collect();
        let rotation = self.rotary.rotation(&positions, &device);
        let room = caches[0].room_with(seq);
        // It hides the places of the cache that are still empty from a single token.
        let mask = (seq == 1 && room > past + 1).then(|| {
            let mask = (0..room).map(|place| if place > past { -1e9 } else { 0.0 });
            float_tensor(mask.collect(), [1, 1, 1, room], &device)
        });
        let mut x = self.embed(input_ids);
        for (layer, cache) in self.layers.iter().zip(caches) {
            x = layer.around(x, |attention, x, residual| {
                attention.forward_cached(x, residual, batch, &rotation, mask.as_ref(), cache)
            });
        }
        self.norm.forward(x)
    }

    /// The output projection `[vocab, hidden]`: `lm_head`, or the tied embedding.
    pub fn head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embed_tokens)
    }

    pub fn device(&self) -> Device {
        self.embed_tokens.device().inner()
    }

    /// Every linear layer of the blocks, with its module path (`model.layers.0.self_attn.q_proj`).
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let mut linears = Vec::new();
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let DecoderLayer { self_attn, mlp, .. } = layer;
            let parts = [
                ("self_attn.q_proj", &mut self_attn.q_proj),
                ("self_attn.k_proj", &mut self_attn.k_proj),
                ("self_attn.v_proj", &mut self_attn.v_proj),
                ("self_attn.o_proj", &mut self_attn.o_proj),
                ("mlp.gate_proj", &mut mlp.gate_proj),
                ("mlp.up_proj", &mut mlp.up_proj),
                ("mlp.down_proj", &mut mlp.down_proj),
            ];
            linears.extend(parts.map(|(part, linear)| (format!("model.layers.{i}.{part}"), linear)));
        }
        linears
    }

    /// Every weight, with its checkpoint name.
    pub fn weights_mut(&mut self) -> Vec<(String, Weight<'_>)> {
        let Llama { embed_tokens, layers, norm, lm_head, score, .. } = self;
        let mut weights = vec![("model.embed_tokens.weight".to_string(), Weight::Linear(embed_tokens))];
        for (i, layer) in layers.iter_mut().enumerate() {
            let DecoderLayer { input_layernorm, self_attn, post_attention_layernorm, mlp } = layer;
            let parts = [
                ("input_layernorm", Weight::Vector(&mut input_layernorm.weight)),
                ("self_attn.q_proj", Weight::Linear(&mut self_attn.q_proj.weight)),
                ("self_attn.k_proj", Weight::Linear(&mut self_attn.k_proj.weight)),
                ("self_attn.v_proj", Weight::Linear(&mut self_attn.v_proj.weight)),
                ("self_attn.o_proj", Weight::Linear(&mut self_attn.o_proj.weight)),
                ("post_attention_layernorm", Weight::Vector(&mut post_attention_layernorm.weight)),
                ("mlp.gate_proj", Weight::Linear(&mut mlp.gate_proj.weight)),
                ("mlp.up_proj", Weight::Linear(&mut mlp.up_proj.weight)),
                ("mlp.down_proj", Weight::Linear(&mut mlp.down_proj.weight)),
            ];
            weights.extend(parts.map(|(part, weight)| (format!("model.layers.{i}.{part}.weight"), weight)));
        }
        weights.push(("model.norm.weight".into(), Weight::Vector(&mut norm.weight)));
        if let Some(lm_head) = lm_head {
            weights.push(("lm_head.weight".into(), Weight::Linear(lm_head)));
        }
        if let Some(score) = score {
            weights.push((score::WEIGHT.into(), Weight::Matrix(&mut score.weight)));
        }
        weights
    }

    fn embed(&self, input_ids: &[u32]) -> Tensor<2> {
        self.embed_tokens.select(int_tensor(input_ids, &self.device()))
    }
}

impl DecoderLayer {
    /// # Shapes
    /// - x: `[batch * seq, hidden]`
    /// - first_keys: `[batch * seq]`, as [`first_keys`] gives them
    /// - output: as x
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        seq: usize,
        rotation: &Rotation,
        first_keys: &Tensor<1>,
    ) -> Tensor<2> {
        self.around(x, |attention, x, residual| attention.forward(x, residual, seq, rotation, first_keys))
    }

    fn around(
        &self,
        x: Tensor<2>,
        attend: impl FnOnce(&Attention, Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let x = attend(&self.self_attn, self.input_layernorm.beside_residual(x.clone()), x);
        self.mlp.forward(self.post_attention_layernorm.beside_residual(x.clone()), x)
    }
}

impl Mlp {
    /// # Shapes
    /// - x, residual: `[tokens, hidden]`, the latter added to the output
    /// - output: `[tokens, hidden]`
    fn forward(&self, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        let gate_up = forward_together(&[&self.gate_proj, &self.up_proj], x, None); // [tokens, 2 * ffn]
        forward_together(&[&self.down_proj], swiglu(gate_up), Some(residual))
    }
}

impl LlamaConfig {
    /// # Errors
    /// A missing key, or a setting that this implementation does not compute.
    pub fn from_json(config: &Value) -> Result<LlamaConfig> {
        /// More than any size of a model; their products fit into 64 bits.
        const MOST: u64 = 1 << 24;
        let size = |key: &str| -> Result<usize> {
            match config[key].as_u64() {
                Some(value) if value > 0 && value <= MOST => Ok(value as usize),
                Some(value) if value > 0 => {
                    Err(invalid(format!("\"{key}\" is {value}, which no model has; download the file again")))
                }
                _ => Err(invalid(format!(
                    "\"{key}\" is {} where a positive whole number belongs",
                    config[key]
                ))),
            }
        };
        let or = |key: &str, default: usize| if config[key].is_null() { Ok(default) } else { size(key) };
        let number = |key: &str, default: f64| config[key].as_f64().unwrap_or(default);
        for (key, expected) in [("attention_bias", false), ("mlp_bias", false)] {
            if config[key].as_bool().unwrap_or(expected) != expected {
                return Err(unsupported(format!("{key} = true"), "supported are models without biases"));
            }
        }
        if !matches!(config["hidden_act"].as_str(), None | Some("silu")) {
            return Err(unsupported(format!("hidden_act {}", config["hidden_act"]), "supported is \"silu\""));
        }
        let (hidden_size, num_attention_heads) = (size("hidden_size")?, size("num_attention_heads")?);
        let num_key_value_heads = or("num_key_value_heads", num_attention_heads)?;
        let head_dim = or("head_dim", hidden_size / num_attention_heads)?;
        if num_attention_heads % num_key_value_heads != 0 || head_dim % 2 != 0 {
            return Err(invalid(format!(
                "{num_attention_heads} attention heads of {head_dim} channels cannot be shared by \
                 {num_key_value_heads} key/value heads"
            )));
        }
        // transformers 5 moved rope settings into `rope_parameters`.
        let rope = if config["rope_parameters"].is_object() {
            &config["rope_parameters"]
        } else {
            &config["rope_scaling"]
        };
        let rope_theta = rope["rope_theta"].as_f64().unwrap_or_else(|| number("rope_theta", 10_000.0));
        Ok(LlamaConfig {
            hidden_size,
            intermediate_size: size("intermediate_size")?,
            num_hidden_layers: size("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size: size("vocab_size")?,
            max_position_embeddings: or("max_position_embeddings", 2048)?,
            rms_norm_eps: number("rms_norm_eps", 1e-6),
            rope_theta,
            rope_scaling: rope_scaling(config, rope, head_dim)?,
            tie_word_embeddings: config["tie_word_embeddings"].as_bool().unwrap_or(false),
            initializer_range: number("initializer_range", 0.02),
            labels: score::labels(config),
        })
    }

    /// How many numbers the model has.
    pub fn parameters(&self) -> u64 {
        let [hidden, inner, vocab] =
            [self.hidden_size, self.intermediate_size, self.vocab_size].map(|size| size as u128);
        let heads = self.num_attention_heads as u128 + self.num_key_value_heads as u128;
        let attention = (2 * heads).saturating_mul(self.head_dim as u128);
        let layer = hidden.saturating_mul(attention.saturating_add(3 * inner + 2));
        let embedding = vocab.saturating_mul(hidden);
        let head = match &self.labels {
            Some(labels) => hidden.saturating_mul(labels.len() as u128),
            None if self.tie_word_embeddings => 0,
            None => embedding,
        };
        let layers = layer.saturating_mul(self.num_hidden_layers as u128);
        [embedding, head, layers, hidden]
            .into_iter()
            .fold(0_u128, u128::saturating_add)
            .try_into()
            .unwrap_or(u64::MAX)
    }
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

fn invalid(reason: String) -> Error {
    Error::InvalidModelFile { file: "config.json".into(), reason }
}

fn unsupported(what: String, supported: &str) -> Error {
    Error::Unsupported { file: "config.json".into(), what, supported: supported.into() }
}
