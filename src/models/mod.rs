//! Model architectures. No file, network or JavaScript access here: weights arrive
//! through a function, token ids arrive as [`Input`], hidden states go out.

pub mod head;
pub mod layers;
pub mod llama;
pub mod score;

use crate::error::{Error, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;

pub use llama::{Llama, LlamaConfig};
pub use score::Score;

/// A weight by its checkpoint name: row-major f32 values of the given shape.
pub type ReadWeight<'a> = &'a dyn Fn(&str, &[usize]) -> Result<Vec<f32>>;

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
}

impl ModelConfig {
    /// Dispatches on `model_type`. A new architecture is a new arm here.
    ///
    /// # Errors
    /// An architecture that Loralet does not know, or settings it cannot run.
    pub fn from_json(config: &Value) -> Result<ModelConfig> {
        match config["model_type"].as_str() {
            Some("llama") => Ok(ModelConfig::Llama(LlamaConfig::from_json(config)?)),
            other => Err(Error::Unsupported {
                file: "config.json".into(),
                what: format!("model_type \"{}\"", other.unwrap_or("(none)")),
                supported: "supported is \"llama\" (SmolLM, SmolLM2, Llama 3, TinyLlama)".into(),
            }),
        }
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
