//! BERT encoders (<https://arxiv.org/abs/1810.04805>), all-MiniLM-L6-v2 among them: every token sees the
//! whole text. Named and computed as transformers' `BertModel`, without its pooler, which sentence
//! embeddings do not use.

use super::layers::attention::{attend, padding_mask};
use super::layers::layer_norm::LayerNorm;
use super::layers::linear::Linear;
use super::llama::Weight;
use super::score::{self, Score};
use super::{Input, ReadWeights, float_tensor, int_tensor};
use crate::error::{Error, Result};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use serde_json::Value;

/// The keys of `config.json` that decide the computation.
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub layer_norm_eps: f64,
    /// Standard deviation of weights that are drawn anew.
    pub initializer_range: f64,
    /// The classes of its `score` head, in the order of the head's rows; `None` for an encoder alone.
    pub labels: Option<Vec<String>>,
}

/// A BERT model. Cloning is cheap: tensors are shared.
#[derive(Debug, Clone)]
pub struct Bert {
    pub config: BertConfig,
    pub embeddings: Embeddings,
    pub layers: Vec<EncoderLayer>,
    /// What tells the classes of a text apart.
    pub score: Option<Score>,
}

/// Word, position and token type, added up.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// `[vocab, hidden]`
    pub word_embeddings: Tensor<2>,
    /// `[positions, hidden]`
    pub position_embeddings: Tensor<2>,
    /// `[types, hidden]`; a text alone is of type 0.
    pub token_type_embeddings: Tensor<2>,
    pub layer_norm: LayerNorm,
}

#[derive(Debug, Clone)]
pub struct EncoderLayer {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub attention_output: Linear,
    pub attention_layer_norm: LayerNorm,
    pub intermediate: Linear,
    pub output: Linear,
    pub output_layer_norm: LayerNorm,
    num_attention_heads: usize,
}

impl Bert {
    /// Builds the model from weights read by checkpoint name.
    ///
    /// # Errors
    /// Whatever `read` reports: a missing tensor, a wrong shape.
    pub fn load(config: BertConfig, read: &dyn ReadWeights, device: &Device) -> Result<Bert> {
        let matrix = |name: &str, rows: usize, columns: usize| -> Result<Tensor<2>> {
            Ok(float_tensor(read.values(name, &[rows, columns])?, [rows, columns], device))
        };
        let vector = |name: &str, length: usize| -> Result<Tensor<1>> {
            Ok(float_tensor(read.values(name, &[length])?, [length], device))
        };
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let norm = |path: &str| -> Result<LayerNorm> {
            Ok(LayerNorm {
                weight: vector(&format!("{path}.weight"), hidden)?,
                bias: vector(&format!("{path}.bias"), hidden)?,
                eps: config.layer_norm_eps,
            })
        };
        let embeddings = Embeddings {
            word_embeddings: matrix("embeddings.word_embeddings.weight", config.vocab_size, hidden)?,
            position_embeddings: matrix(
                "embeddings.position_embeddings.weight",
                config.max_position_embeddings,
                hidden,
            )?,
            token_type_embeddings: matrix(
                "embeddings.token_type_embeddings.weight",
                config.type_vocab_size,
                hidden,
            )?,
            layer_norm: norm("embeddings.LayerNorm")?,
        };
        let mut layers = Vec::new();
        for i in 0..config.num_hidden_layers {
            let at = |part: &str| format!("encoder.layer.{i}.{part}");
            let linear = |part: &str, out, input| -> Result<Linear> {
                let weight = matrix(&at(&format!("{part}.weight")), out, input)?;
                Ok(Linear::with_bias(weight, vector(&at(&format!("{part}.bias")), out)?))
            };
            layers.push(EncoderLayer {
                query: linear("attention.self.query", hidden, hidden)?,
                key: linear("attention.self.key", hidden, hidden)?,
                value: linear("attention.self.value", hidden, hidden)?,
                attention_output: linear("attention.output.dense", hidden, hidden)?,
                attention_layer_norm: norm(&at("attention.output.LayerNorm"))?,
                intermediate: linear("intermediate.dense", ffn, hidden)?,
                output: linear("output.dense", hidden, ffn)?,
                output_layer_norm: norm(&at("output.LayerNorm"))?,
                num_attention_heads: config.num_attention_heads,
            });
        }
        let score = match &config.labels {
            Some(labels) => {
                Some(Score { weight: matrix(score::WEIGHT, labels.len(), hidden)?, labels: labels.clone() })
            }
            None => None,
        };
        Ok(Bert { config, embeddings, layers, score })
    }

    /// A copy with this head.
    pub fn with_score(&self, score: Score) -> Bert {
        let config = BertConfig { labels: Some(score.labels.clone()), ..self.config.clone() };
        Bert { config, score: Some(score), ..self.clone() }
    }

    /// The final hidden states of a micro-batch.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        let mask = padding_mask(input, &self.device());
        let mut x = self.embeddings.forward(input);
        for layer in &self.layers {
            x = layer.forward(x, input.batch, &mask);
        }
        x
    }

    pub fn device(&self) -> Device {
        self.embeddings.word_embeddings.device().inner()
    }

    /// Every linear layer of the blocks, with its module path (`encoder.layer.0.attention.self.query`).
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let mut linears = Vec::new();
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let parts = [
                ("attention.self.query", &mut layer.query),
                ("attention.self.key", &mut layer.key),
                ("attention.self.value", &mut layer.value),
                ("attention.output.dense", &mut layer.attention_output),
                ("intermediate.dense", &mut layer.intermediate),
                ("output.dense", &mut layer.output),
            ];
            linears.extend(parts.map(|(part, linear)| (format!("encoder.layer.{i}.{part}"), linear)));
        }
        linears
    }

    /// Every weight, with its checkpoint name.
    pub fn weights_mut(&mut self) -> Vec<(String, Weight<'_>)> {
        let Embeddings { word_embeddings, position_embeddings, token_type_embeddings, layer_norm } =
            &mut self.embeddings;
        let mut weights = vec![
            ("embeddings.word_embeddings.weight".to_string(), Weight::Matrix(word_embeddings)),
            ("embeddings.position_embeddings.weight".to_string(), Weight::Matrix(position_embeddings)),
            ("embeddings.token_type_embeddings.weight".to_string(), Weight::Matrix(token_type_embeddings)),
        ];
        weights.extend(norm_weights("embeddings.LayerNorm", layer_norm));
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let at = |part: &str| format!("encoder.layer.{i}.{part}");
            weights.extend(linear_weights(&at("attention.self.query"), &mut layer.query));
            weights.extend(linear_weights(&at("attention.self.key"), &mut layer.key));
            weights.extend(linear_weights(&at("attention.self.value"), &mut layer.value));
            weights.extend(linear_weights(&at("attention.output.dense"), &mut layer.attention_output));
            weights.extend(norm_weights(&at("attention.output.LayerNorm"), &mut layer.attention_layer_norm));
            weights.extend(linear_weights(&at("intermediate.dense"), &mut layer.intermediate));
            weights.extend(linear_weights(&at("output.dense"), &mut layer.output));
            weights.extend(norm_weights(&at("output.LayerNorm"), &mut layer.output_layer_norm));
        }
        if let Some(score) = &mut self.score {
            weights.push((score::WEIGHT.into(), Weight::Matrix(&mut score.weight)));
        }
        weights
    }
}

fn linear_weights<'a>(path: &str, linear: &'a mut Linear) -> Vec<(String, Weight<'a>)> {
    let bias = linear.bias.as_mut().map(|bias| (format!("{path}.bias"), Weight::Vector(bias)));
    [(format!("{path}.weight"), Weight::Linear(&mut linear.weight))].into_iter().chain(bias).collect()
}

fn norm_weights<'a>(path: &str, norm: &'a mut LayerNorm) -> [(String, Weight<'a>); 2] {
    [
        (format!("{path}.weight"), Weight::Vector(&mut norm.weight)),
        (format!("{path}.bias"), Weight::Vector(&mut norm.bias)),
    ]
}

impl Embeddings {
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    fn forward(&self, input: &Input) -> Tensor<2> {
        let device = self.word_embeddings.device().inner();
        let words = self.word_embeddings.clone().select(0, int_tensor(input.input_ids, &device));
        let positions = self.position_embeddings.clone().select(0, int_tensor(input.position_ids, &device));
        let first_type = self.token_type_embeddings.clone().narrow(0, 0, 1); // [1, hidden]
        self.layer_norm.forward(words + positions + first_type)
    }
}

impl EncoderLayer {
    /// # Shapes
    /// - x: `[batch * seq, hidden]`
    /// - mask: `[batch, 1, seq, seq]`, added to the scores
    /// - output: `[batch * seq, hidden]`
    fn forward(&self, x: Tensor<2>, batch: usize, mask: &Tensor<4>) -> Tensor<2> {
        let [tokens, hidden] = x.dims();
        let (seq, head_dim) = (tokens / batch, hidden / self.num_attention_heads);
        let heads = |x: Tensor<2>| {
            x.reshape([batch, seq, self.num_attention_heads, head_dim]).swap_dims(1, 2) // [batch, heads, seq, head_dim]
        };
        let q = heads(self.query.forward(x.clone())) * (head_dim as f64).powf(-0.5);
        let (k, v) = (heads(self.key.forward(x.clone())), heads(self.value.forward(x.clone())));
        let context = attend(q, k, v, Some(mask)).swap_dims(1, 2).reshape([tokens, hidden]);
        let x = self.attention_layer_norm.forward(x + self.attention_output.forward(context));
        let inner = gelu(self.intermediate.forward(x.clone())); // [tokens, ffn]
        self.output_layer_norm.forward(x + self.output.forward(inner))
    }
}

impl BertConfig {
    /// # Errors
    /// A missing key, or a setting that this implementation does not compute.
    pub fn from_json(config: &Value) -> Result<BertConfig> {
        /// More than any size of a model; their products fit into 64 bits.
        const MOST: u64 = 1 << 24;
        let size = |key: &str| -> Result<usize> {
            match config[key].as_u64() {
                Some(value) if value > 0 && value <= MOST => Ok(value as usize),
                _ => Err(Error::InvalidModelFile {
                    file: "config.json".into(),
                    reason: format!("\"{key}\" is {} where a positive whole number belongs", config[key]),
                }),
            }
        };
        let computed = [("hidden_act", "gelu"), ("position_embedding_type", "absolute")];
        for (key, expected) in computed {
            if config[key].as_str().is_some_and(|found| found != expected) {
                return Err(unsupported(
                    format!("{key} {}", config[key]),
                    format!("supported is \"{expected}\""),
                ));
            }
        }
        if config["is_decoder"] == true {
            return Err(unsupported("is_decoder = true".into(), "supported are BERT encoders".into()));
        }
        let (hidden_size, num_attention_heads) = (size("hidden_size")?, size("num_attention_heads")?);
        if hidden_size % num_attention_heads != 0 {
            return Err(Error::InvalidModelFile {
                file: "config.json".into(),
                reason: format!(
                    "{hidden_size} channels cannot be shared by {num_attention_heads} attention heads"
                ),
            });
        }
        Ok(BertConfig {
            hidden_size,
            intermediate_size: size("intermediate_size")?,
            num_hidden_layers: size("num_hidden_layers")?,
            num_attention_heads,
            vocab_size: size("vocab_size")?,
            max_position_embeddings: size("max_position_embeddings")?,
            type_vocab_size: size("type_vocab_size")?,
            layer_norm_eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-12),
            initializer_range: config["initializer_range"].as_f64().unwrap_or(0.02),
            labels: score::labels(config),
        })
    }

    /// How many numbers the model has, its pooler left out.
    pub fn parameters(&self) -> u64 {
        let [hidden, inner] = [self.hidden_size, self.intermediate_size].map(|size| size as u128);
        let rows = (self.vocab_size + self.max_position_embeddings + self.type_vocab_size) as u128;
        let attention = 4 * (hidden * hidden + hidden) + 2 * hidden;
        let ffn = 2 * hidden * inner + inner + hidden + 2 * hidden;
        let head = self.labels.as_ref().map_or(0, Vec::len) as u128 * hidden;
        let all = rows * hidden + 2 * hidden + self.num_hidden_layers as u128 * (attention + ffn) + head;
        all.try_into().unwrap_or(u64::MAX)
    }
}

fn unsupported(what: String, supported: String) -> Error {
    Error::Unsupported { file: "config.json".into(), what, supported }
}
