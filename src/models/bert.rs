//! BERT encoders (<https://arxiv.org/abs/1810.04805>), all-MiniLM-L6-v2 among them: every token sees the
//! whole text. Named and computed as transformers' `BertModel`, without its pooler, which sentence
//! embeddings do not use.

use super::block::{EncoderBlock, Parts};
use super::config::{Config, Spec, invalid, unsupported};
use super::encoder::{Embeddings, Encoder};
use super::layers::attention::attend;
use super::layers::layer_norm::LayerNorm;
use super::layers::linear::Linear;
use super::loader::Loader;
use super::visitor::Visitor;
use crate::error::Result;
use burn::tensor::Tensor;
use burn::tensor::activation::gelu;
use serde_json::Value;

/// Attention and an MLP, each with a norm behind it.
#[derive(Debug, Clone)]
struct BertLayer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    num_attention_heads: usize,
}

/// Builds the model that a `config.json` describes.
///
/// # Errors
/// A missing key, or a setting that this implementation does not compute; whatever the loader reports.
pub fn load(config: &Value, weights: &Loader) -> Result<Encoder> {
    let is_decoder = config["is_decoder"] == true;
    let config = Config(config);
    config.expect("hidden_act", "gelu")?;
    config.expect("position_embedding_type", "absolute")?;
    if is_decoder {
        return Err(unsupported("is_decoder = true".into(), "supported are BERT encoders"));
    }
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    if hidden % heads != 0 {
        return Err(invalid(format!("{hidden} channels cannot be shared by {heads} attention heads")));
    }
    let inner = config.size("intermediate_size")?;
    let spec = Spec {
        architecture: "bert",
        hidden_size: hidden,
        intermediate_size: inner,
        num_hidden_layers: config.size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        vocab_size: config.size("vocab_size")?,
        max_position_embeddings: config.size("max_position_embeddings")?,
        tie_word_embeddings: false,
        initializer_range: config.number_or("initializer_range", 0.02),
        blocks: "encoder.layer".into(),
    };
    let eps = config.number_or("layer_norm_eps", 1e-12);
    let layer = |weights: &Loader| -> Result<BertLayer> {
        let attention = weights.at("attention");
        Ok(BertLayer {
            query: attention.linear_with_bias("self.query", hidden, hidden)?,
            key: attention.linear_with_bias("self.key", hidden, hidden)?,
            value: attention.linear_with_bias("self.value", hidden, hidden)?,
            attention_output: attention.linear_with_bias("output.dense", hidden, hidden)?,
            attention_norm: attention.layer_norm("output.LayerNorm", hidden, eps)?,
            intermediate: weights.linear_with_bias("intermediate.dense", inner, hidden)?,
            output: weights.linear_with_bias("output.dense", hidden, inner)?,
            output_norm: weights.layer_norm("output.LayerNorm", hidden, eps)?,
            num_attention_heads: heads,
        })
    };
    let embeddings = weights.at("embeddings");
    let token_types = config.size("type_vocab_size")?;
    Ok(Encoder {
        embeddings: Embeddings {
            words: embeddings.embedding("word_embeddings", spec.vocab_size, hidden)?,
            positions: embeddings.embedding("position_embeddings", spec.max_position_embeddings, hidden)?,
            token_types: embeddings.embedding("token_type_embeddings", token_types, hidden)?,
            norm: embeddings.layer_norm("LayerNorm", hidden, eps)?,
        },
        blocks: weights.blocks(&spec.blocks, spec.num_hidden_layers, |_, weights| {
            Ok(Box::new(layer(weights)?) as Box<dyn EncoderBlock>)
        })?,
        score: weights.score(config.encoder_labels(), hidden)?,
        spec,
    })
}

impl Parts for BertLayer {
    fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        for linear in [&mut self.query, &mut self.key, &mut self.value, &mut self.attention_output] {
            visitor.linears(vec![linear]);
        }
        self.attention_norm.visit(visitor);
        visitor.linears(vec![&mut self.intermediate]);
        visitor.linears(vec![&mut self.output]);
        self.output_norm.visit(visitor);
    }

    /// Probabilities, the inputs of each linear layer and norm, queries, keys and values, and both sides of the GELU.
    fn kept_floats(&self, seq: u64, _keeps_probabilities: bool) -> u64 {
        let [inner, hidden] = self.intermediate.dims().map(|size| size as u64);
        let probabilities = (self.num_attention_heads as u64).saturating_mul(seq);
        probabilities.saturating_add(8 * hidden + 2 * inner)
    }
}

impl EncoderBlock for BertLayer {
    fn forward(&self, x: Tensor<2>, batch: usize, mask: &Tensor<4>) -> Tensor<2> {
        let [tokens, hidden] = x.dims();
        let (seq, head_dim) = (tokens / batch, hidden / self.num_attention_heads);
        let heads = |x: Tensor<2>| {
            x.reshape([batch, seq, self.num_attention_heads, head_dim]).swap_dims(1, 2) // [batch, heads, seq, head_dim]
        };
        let q = heads(self.query.forward(x.clone())) * (head_dim as f64).powf(-0.5);
        let (k, v) = (heads(self.key.forward(x.clone())), heads(self.value.forward(x.clone())));
        let context = attend(q, k, v, Some(mask)).swap_dims(1, 2).reshape([tokens, hidden]);
        let x = self.attention_norm.forward(x + self.attention_output.forward(context));
        let inner = gelu(self.intermediate.forward(x.clone())); // [tokens, ffn]
        self.output_norm.forward(x + self.output.forward(inner))
    }

    fn boxed_clone(&self) -> Box<dyn EncoderBlock> {
        Box::new(self.clone())
    }
}
