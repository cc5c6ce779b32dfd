//! A trained model whole, as a Hugging Face folder's `model.safetensors`.

use super::OutputFile;
use crate::error::Result;
use crate::kernels::readback::read;
use crate::models::{Model, NamedWeight, Weight};
use crate::weights::safetensors;

/// Every weight of the tuned model, f32.
///
/// # Errors
/// A device that stops answering.
pub async fn save(tuned: &Model) -> Result<Vec<OutputFile>> {
    let mut tuned = tuned.clone();
    let mut tensors = Vec::new();
    for NamedWeight { name, weight, .. } in tuned.weights_mut() {
        let shape = weight.shape();
        let values = match weight {
            Weight::Matrix(weight) => read(weight.clone()).await?,
            Weight::Linear(weight) => read(weight.dense()).await?,
            Weight::Vector(weight) => read(weight.clone()).await?,
        };
        tensors.push((name, shape, values));
    }
    let bytes = safetensors::serialize(&tensors, &[("format", "pt")])?;
    Ok(vec![OutputFile { name: "model.safetensors".into(), bytes }])
}
