//! Model architectures. No file, network or JavaScript access here: weights arrive
//! through [`ReadWeights`], token ids arrive as [`Input`], hidden states go out.
//!
//! An architecture is a file: how its `config.json` is read, which weights it asks a [`Loader`] for, and what it computes with
//! them. `load` dispatches on `model_type`; nothing else knows one by its name.

pub mod bert;
pub mod block;
pub mod checkpointing;
pub mod config;
pub mod decoder;
pub mod encoder;
pub mod head;
pub mod layers;
pub mod llama;
pub mod loader;
pub mod pooling;
pub mod qwen2;
pub mod qwen3;
pub mod score;
pub mod trunk;
mod unpad;
pub mod visitor;

use crate::error::{Error, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use layers::linear::Linear;
use serde_json::Value;

pub use checkpointing::Tape;
pub use config::Spec;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use loader::{Loader, Outline, ReadWeights};
pub use score::Score;
pub use trunk::Trunk;
pub use visitor::{NamedWeight, Place, Weight};

/// The architectures there are, for who asks for another.
const SUPPORTED: &str = "supported are \"llama\" (SmolLM, SmolLM2, Llama 3, TinyLlama), \"qwen2\" (Qwen2, Qwen2.5), \"qwen3\" and \"bert\" (all-MiniLM)";

/// Dispatches on `model_type`: a new architecture is a line here.
///
/// # Errors
/// An architecture that Loralet does not know, or settings it cannot run; whatever the loader reports.
fn load(config: &Value, weights: &Loader) -> Result<Model> {
    match config["model_type"].as_str() {
        Some("llama") => llama::load(config, weights).map(Model::Decoder),
        Some("qwen2") => qwen2::load(config, weights).map(Model::Decoder),
        Some("qwen3") => qwen3::load(config, weights).map(Model::Decoder),
        Some("bert") => bert::load(config, weights).map(Model::Encoder),
        other => Err(Error::Unsupported {
            file: "config.json".into(),
            what: format!("model_type \"{}\"", other.unwrap_or("(none)")),
            supported: SUPPORTED.into(),
        }),
    }
}

/// Token ids of a micro-batch on the host, row-major `[batch, seq]`.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    pub input_ids: &'a [u32],
    /// Position of each token in its own document.
    pub position_ids: &'a [u32],
    /// 0 for padding; tokens attend only to earlier tokens with the same id.
    pub document_ids: &'a [u32],
    pub batch: usize,
    pub seq: usize,
}

/// A model of any architecture: what predicts the next token, or what embeds a text. Cloning is cheap: tensors are shared.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are two or three of them")]
pub enum Model {
    Decoder(Decoder),
    Encoder(Encoder),
}

impl From<Decoder> for Model {
    fn from(decoder: Decoder) -> Model {
        Model::Decoder(decoder)
    }
}

impl From<Encoder> for Model {
    fn from(encoder: Encoder) -> Model {
        Model::Encoder(encoder)
    }
}

impl Model {
    /// The model that a `config.json` describes.
    ///
    /// # Errors
    /// An architecture that Loralet does not know, or settings it cannot run; whatever `read` reports: a missing tensor, a
    /// wrong shape.
    pub fn load(config: &Value, read: &dyn ReadWeights, device: &Device) -> Result<Model> {
        load(config, &Loader::new(read, device))
    }

    /// What [`Model::load`] would ask for, without reading any values.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn outline(config: &Value, read: &dyn ReadWeights) -> Result<Outline> {
        Outline::of(read, |loader| Ok(load(config, loader)?.spec().clone()))
    }

    /// A copy that keeps only the input of each block for its backward pass, and keeps it on the tape; an encoder keeps all.
    pub fn checkpointed(&self, tape: &Tape) -> Model {
        let mut model = self.clone();
        if let Model::Decoder(decoder) = &mut model {
            decoder.tape = Some(tape.clone());
        }
        model
    }

    /// A copy that takes what comes out of its frozen blocks from the trunk where it is known; an encoder computes all.
    pub fn with_trunk(&self, trunk: &Trunk) -> Model {
        let mut model = self.clone();
        if let Model::Decoder(decoder) = &mut model {
            decoder.trunk = Some(trunk.clone());
        }
        model
    }

    /// The model that writes text.
    ///
    /// # Errors
    /// It is an encoder, which has no next token.
    pub fn decoder(&self) -> Result<&Decoder> {
        match self {
            Model::Decoder(decoder) => Ok(decoder),
            Model::Encoder(_) => Err(Error::Training {
                reason: "the model is an encoder, which has no next token; choose a language model".into(),
            }),
        }
    }

    pub fn is_encoder(&self) -> bool {
        matches!(self, Model::Encoder(_))
    }

    /// What is known of the model without looking into it.
    pub fn spec(&self) -> &Spec {
        match self {
            Model::Decoder(decoder) => &decoder.spec,
            Model::Encoder(encoder) => &encoder.spec,
        }
    }

    /// The final hidden states of a micro-batch.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        match self {
            Model::Decoder(decoder) => decoder.forward(input),
            Model::Encoder(encoder) => encoder.forward(input),
        }
    }

    /// How many tokens [`Model::forward`] computes of a micro-batch, its padding included where that is computed too.
    pub fn computed_tokens(&self, input: &Input) -> usize {
        match self {
            Model::Decoder(_) => unpad::computed_tokens(input),
            Model::Encoder(_) => input.batch * input.seq,
        }
    }

    pub fn device(&self) -> Device {
        match self {
            Model::Decoder(decoder) => decoder.device(),
            Model::Encoder(encoder) => encoder.device(),
        }
    }

    /// Hands out every part, in the order of the model.
    pub fn visit<'a>(&'a mut self, visitor: &mut dyn visitor::Visitor<'a>) {
        match self {
            Model::Decoder(decoder) => decoder.visit(visitor),
            Model::Encoder(encoder) => encoder.visit(visitor),
        }
    }

    /// Its blocks, as estimates of memory see them.
    pub fn parts(&self) -> Vec<&dyn block::Parts> {
        match self {
            Model::Decoder(decoder) => decoder.blocks.iter().map(|block| block.as_ref() as _).collect(),
            Model::Encoder(encoder) => encoder.blocks.iter().map(|block| block.as_ref() as _).collect(),
        }
    }

    /// With `on`, products with frozen weights are computed in 16 bits where the device can.
    pub fn fp16(mut self, on: bool) -> Model {
        self.linears_mut().into_iter().for_each(|linear: &mut Linear| linear.fp16 = on);
        self
    }

    pub fn max_position_embeddings(&self) -> usize {
        self.spec().max_position_embeddings
    }

    pub fn vocab_size(&self) -> usize {
        self.spec().vocab_size
    }

    /// Channels of a hidden state.
    pub fn hidden_size(&self) -> usize {
        self.spec().hidden_size
    }

    /// The paths of the matrices with a row a token: the embedding, and a decoder's output projection.
    pub fn vocabulary_paths(&self) -> impl Iterator<Item = &str> {
        let (embedding, head) = match self {
            Model::Decoder(decoder) => (&decoder.embedding, decoder.head.path()),
            Model::Encoder(encoder) => (&encoder.embeddings.words, None),
        };
        [Some(&*embedding.path), head].into_iter().flatten()
    }

    /// The head of a model that judges whole texts.
    pub fn score(&self) -> Option<&Score> {
        match self {
            Model::Decoder(decoder) => decoder.score.as_ref(),
            Model::Encoder(encoder) => encoder.score.as_ref(),
        }
    }

    /// A copy with this head; of a decoder in place of its output projection.
    pub fn with_score(&self, score: Score) -> Model {
        match self {
            Model::Decoder(decoder) => decoder.with_score(score).into(),
            Model::Encoder(encoder) => encoder.with_score(score).into(),
        }
    }

    /// What the rows of its `score` head stand for.
    pub fn labels(&self) -> Option<&Vec<String>> {
        self.score().map(|score| &score.labels)
    }
}

/// An integer tensor from host values.
///
/// # Shapes
/// - output: `[values.len()]`
pub(crate) fn int_tensor(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|&value| value as i32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

/// A float tensor from host values.
///
/// # Shapes
/// - output: `shape`
pub(crate) fn float_tensor<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
