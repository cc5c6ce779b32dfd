//! LoRA steps on one fixed batch, for timing beside other libraries.

use super::Workload;
use crate::adapters::Trainable;
use crate::data::batch::Batch;
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::{Model, float_tensor};
use crate::objectives::sft;
use crate::recipe::{LoraRecipe, Recipe};
use crate::train::optimizer::AdamW;
use burn::tensor::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

pub struct Steps {
    base: Model,
    trainable: Trainable,
    optimizer: AdamW,
    /// Lets each update through: its loss is read anyway.
    guard: Tensor<1>,
    learning_rate: f64,
    batch: Batch,
}

impl Steps {
    /// `weights` is a safetensors file: weights with Hugging Face's Llama names, LoRA pairs with PEFT's, and `tokens`,
    /// `[batch, seq]`.
    ///
    /// # Errors
    /// Sizes that make no model; a file that lacks a tensor, or has it in another shape.
    pub fn new(workload: &Workload, weights: &[u8], device: &Device) -> Result<Steps> {
        workload.check()?;
        let file = SafeTensors::deserialize(weights).map_err(|failure| invalid(&failure.to_string()))?;
        let floats = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let bytes = tensor(&file, name, Dtype::F32, shape)?;
            Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let base = Model::load(&config(workload), &floats, device)?;
        let lora = LoraRecipe { rank: workload.lora.r, alpha: workload.lora.alpha, ..LoraRecipe::default() };
        let mut trainable = Trainable::new(&base, &Recipe { lora, ..Recipe::default() });
        let mut values = Vec::with_capacity(trainable.len());
        for parameter in &trainable.parameters {
            values.extend(floats(&format!("base_model.model.{}", parameter.name), &parameter.shape)?);
        }
        trainable.values = float_tensor(values, [trainable.len()], device);
        let settings = &workload.adamw;
        let optimizer = AdamW {
            beta1: settings.beta1,
            beta2: settings.beta2,
            epsilon: settings.eps,
            ..AdamW::new(trainable.len(), settings.weight_decay, device)
        };
        let tokens = tensor(&file, "tokens", Dtype::I32, &[workload.batch, workload.seq])?;
        let input_ids = tokens.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let batch = next_tokens(workload, input_ids)?;
        let guard = float_tensor(vec![0.0; 2], [2], device);
        Ok(Steps { base, trainable, optimizer, guard, learning_rate: settings.lr, batch })
    }

    /// The loss before this step's update, averaged over all shifted positions.
    ///
    /// # Errors
    /// A device that stops answering.
    pub async fn step(&mut self) -> Result<f64> {
        let leaves = self.trainable.leaves(true);
        let model = self.trainable.attach(&self.base, &leaves, None);
        let loss = sft::loss(model.decoder()?, &self.batch) / self.batch.supervised_tokens as f64;
        let mut gradients = loss.backward();
        let gradient = self.trainable.flat_gradient(&leaves, &mut gradients);
        // Parts of the values, which the update changes in place.
        drop((model, leaves));
        let values = self.trainable.take_values();
        self.trainable.values =
            self.optimizer.update(values, gradient, self.guard.clone(), self.learning_rate);
        Ok(f64::from(read(loss.inner()).await?[0]))
    }
}

/// As a `config.json` of the Llama family has it.
fn config(workload: &Workload) -> Value {
    json!({
        "model_type": "llama",
        "hidden_size": workload.hidden,
        "intermediate_size": workload.ffn,
        "num_hidden_layers": workload.layers,
        "num_attention_heads": workload.heads,
        "num_key_value_heads": workload.kv_heads,
        "head_dim": workload.head_dim,
        "vocab_size": workload.vocab,
        "max_position_embeddings": workload.seq,
        "rms_norm_eps": workload.eps,
        "rope_theta": workload.rope_theta,
        "tie_word_embeddings": true,
    })
}

/// Every position of a row predicts the next one.
fn next_tokens(workload: &Workload, input_ids: Vec<u32>) -> Result<Batch> {
    if let Some(id) = input_ids.iter().find(|id| **id as usize >= workload.vocab) {
        return Err(invalid(&format!("token {id} is beyond a vocabulary of {}", workload.vocab)));
    }
    let (batch, seq) = (workload.batch, workload.seq);
    let predicts = |i: usize| i % seq + 1 < seq;
    Ok(Batch {
        targets_mask: (0..batch * seq).map(predicts).collect(),
        targets: (0..batch * seq).map(|i| if predicts(i) { input_ids[i + 1] } else { 0 }).collect(),
        position_ids: (0..batch * seq).map(|i| (i % seq) as u32).collect(),
        document_ids: vec![1; batch * seq],
        batch,
        seq,
        supervised_tokens: batch * (seq - 1),
        tokens: batch * seq,
        input_ids,
        ..Batch::default()
    })
}

fn tensor<'a>(file: &SafeTensors<'a>, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8]> {
    let found = file.tensor(name).map_err(|failure| invalid(&format!("{name}: {failure}")))?;
    if found.dtype() != dtype || found.shape() != shape {
        let (dtype_found, shape_found) = (found.dtype(), found.shape());
        return Err(invalid(&format!("{name} is {dtype_found:?} {shape_found:?}, not {dtype:?} {shape:?}")));
    }
    Ok(found.data())
}

fn invalid(reason: &str) -> Error {
    Error::InvalidModelFile { file: "the weights".into(), reason: reason.into() }
}
