//! A fully fine-tuned model as a Hugging Face folder: `config.json`, `model.safetensors`.

use super::OutputFile;
use crate::adapters::Trainable;
use crate::error::Result;
use crate::eval::read;
use crate::weights::safetensors;
use serde_json::Value;

/// # Errors
/// A device that stops answering.
pub async fn save(trainable: &Trainable, config: &Value) -> Result<Vec<OutputFile>> {
    let values = read(trainable.values.clone()).await?;
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = trainable
        .parameters
        .iter()
        .map(|parameter| {
            let slice = &values[parameter.offset..parameter.offset + parameter.len()];
            (parameter.name.clone(), parameter.shape.clone(), slice.to_vec())
        })
        .collect();
    let config = serde_json::to_vec_pretty(config).expect("plain JSON");
    Ok(vec![
        OutputFile { name: "config.json".into(), bytes: config },
        OutputFile {
            name: "model.safetensors".into(),
            bytes: safetensors::serialize(&tensors, &[("format", "pt")])?,
        },
    ])
}
