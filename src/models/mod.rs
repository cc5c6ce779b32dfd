//! Model architectures. No file, network or JavaScript access here: weights arrive
//! through a function, token ids arrive as [`Input`], hidden states go out.

pub mod bert;
pub mod checkpointing;
pub mod head;
pub mod layers;
pub mod llama;
pub mod pooling;
pub mod score;

use crate::error::{Error, Result};
use crate::kernels::blocks::HostBlocks;
use crate::recipe::{BERT_LINEAR_MODULES, LINEAR_MODULES};
use burn::tensor::{Device, Int, Tensor, TensorData};
use layers::linear::Linear;
use llama::Weight;
use serde_json::Value;

pub use bert::{Bert, BertConfig};
pub use checkpointing::Tape;
pub use llama::{Llama, LlamaConfig};
pub use score::Score;

/// Where a model's weights come from, by their checkpoint names. A function that gives values will do.
pub trait ReadWeights {
    /// Row-major f32 values of the given shape.
    ///
    /// # Errors
    /// A missing tensor, a wrong shape, a file that cannot be read.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;

    /// The weight of a linear layer in blocks, where it is to stay in them.
    ///
    /// # Errors
    /// As for values.
    fn blocks(&self, _name: &str, _shape: [usize; 2]) -> Result<Option<HostBlocks>> {
        Ok(None)
    }
}

impl<F: Fn(&str, &[usize]) -> Result<Vec<f32>>> ReadWeights for F {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self(name, shape)
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

/// Which architecture a `config.json` names, with its settings.
#[derive(Debug, Clone)]
pub enum ModelConfig {
    Llama(LlamaConfig),
    Bert(BertConfig),
}

impl ModelConfig {
    /// Dispatches on `model_type`. A new architecture is a new arm here and in [`Model`].
    ///
    /// # Errors
    /// An architecture that Loralet does not know, or settings it cannot run.
    pub fn from_json(config: &Value) -> Result<ModelConfig> {
        match config["model_type"].as_str() {
            Some("llama") => Ok(ModelConfig::Llama(LlamaConfig::from_json(config)?)),
            Some("bert") => Ok(ModelConfig::Bert(BertConfig::from_json(config)?)),
            other => Err(Error::Unsupported {
                file: "config.json".into(),
                what: format!("model_type \"{}\"", other.unwrap_or("(none)")),
                supported:
                    "supported are \"llama\" (SmolLM, SmolLM2, Llama 3, TinyLlama) and \"bert\" (all-MiniLM)"
                        .into(),
            }),
        }
    }

    /// How many numbers the model has.
    pub fn parameters(&self) -> u64 {
        match self {
            ModelConfig::Llama(config) => config.parameters(),
            ModelConfig::Bert(config) => config.parameters(),
        }
    }

    pub fn vocab_size(&self) -> usize {
        match self {
            ModelConfig::Llama(config) => config.vocab_size,
            ModelConfig::Bert(config) => config.vocab_size,
        }
    }
}

/// A model of any architecture. Cloning is cheap: tensors are shared.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are two or three of them")]
pub enum Model {
    Llama(Llama),
    Bert(Bert),
}

impl From<Llama> for Model {
    fn from(llama: Llama) -> Model {
        Model::Llama(llama)
    }
}

impl From<Bert> for Model {
    fn from(bert: Bert) -> Model {
        Model::Bert(bert)
    }
}

impl Model {
    /// A copy that keeps only the input of each block for its backward pass, and keeps it on the tape; an encoder keeps all.
    pub fn checkpointed(&self, tape: &Tape) -> Model {
        let mut model = self.clone();
        if let Model::Llama(llama) = &mut model {
            llama.tape = Some(tape.clone());
        }
        model
    }

    /// # Errors
    /// Whatever `read` reports: a missing tensor, a wrong shape.
    pub fn load(config: ModelConfig, read: &dyn ReadWeights, device: &Device) -> Result<Model> {
        match config {
            ModelConfig::Llama(config) => Llama::load(config, read, device).map(Model::Llama),
            ModelConfig::Bert(config) => Bert::load(config, read, device).map(Model::Bert),
        }
    }

    /// The model that writes text.
    ///
    /// # Panics
    /// Of an encoder, which a run's objective is checked against before it begins.
    pub fn decoder(&self) -> &Llama {
        match self {
            Model::Llama(llama) => llama,
            Model::Bert(_) => panic!("an encoder has no next token"),
        }
    }

    pub fn is_encoder(&self) -> bool {
        matches!(self, Model::Bert(_))
    }

    /// The final hidden states of a micro-batch.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        match self {
            Model::Llama(llama) => llama.forward(input),
            Model::Bert(bert) => bert.forward(input),
        }
    }

    pub fn device(&self) -> Device {
        match self {
            Model::Llama(llama) => llama.device(),
            Model::Bert(bert) => bert.device(),
        }
    }

    /// Every linear layer of the blocks, with its module path.
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        match self {
            Model::Llama(llama) => llama.linears_mut(),
            Model::Bert(bert) => bert.linears_mut(),
        }
    }

    /// With `on`, products with frozen weights are computed in 16 bits where the device can.
    pub fn fp16(mut self, on: bool) -> Model {
        self.linears_mut().into_iter().for_each(|(_, linear)| linear.fp16 = on);
        self
    }

    /// The names that `lora.target_modules` can have.
    pub fn linear_modules(&self) -> &'static [&'static str] {
        match self {
            Model::Llama(_) => &LINEAR_MODULES,
            Model::Bert(_) => &BERT_LINEAR_MODULES,
        }
    }

    /// Every weight, with its checkpoint name.
    pub fn weights_mut(&mut self) -> Vec<(String, Weight<'_>)> {
        match self {
            Model::Llama(llama) => llama.weights_mut(),
            Model::Bert(bert) => bert.weights_mut(),
        }
    }

    /// How many numbers the model has.
    pub fn parameters(&self) -> u64 {
        match self {
            Model::Llama(llama) => llama.config.parameters(),
            Model::Bert(bert) => bert.config.parameters(),
        }
    }

    pub fn max_position_embeddings(&self) -> usize {
        match self {
            Model::Llama(llama) => llama.config.max_position_embeddings,
            Model::Bert(bert) => bert.config.max_position_embeddings,
        }
    }

    pub fn vocab_size(&self) -> usize {
        match self {
            Model::Llama(llama) => llama.config.vocab_size,
            Model::Bert(bert) => bert.config.vocab_size,
        }
    }

    /// Channels of a hidden state.
    pub fn hidden_size(&self) -> usize {
        match self {
            Model::Llama(llama) => llama.config.hidden_size,
            Model::Bert(bert) => bert.config.hidden_size,
        }
    }

    /// Standard deviation of weights that are drawn anew.
    pub fn initializer_range(&self) -> f64 {
        match self {
            Model::Llama(llama) => llama.config.initializer_range,
            Model::Bert(bert) => bert.config.initializer_range,
        }
    }

    /// The head of a model that judges whole texts.
    pub fn score(&self) -> Option<&Score> {
        match self {
            Model::Llama(llama) => llama.score.as_ref(),
            Model::Bert(bert) => bert.score.as_ref(),
        }
    }

    /// A copy with this head; of a decoder in place of its output projection.
    pub fn with_score(&self, score: Score) -> Model {
        match self {
            Model::Llama(llama) => llama.with_score(score).into(),
            Model::Bert(bert) => bert.with_score(score).into(),
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
