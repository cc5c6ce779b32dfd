//! A tuned model's weights one by one, with the adapter's part added: `W + scale·B·A`, in f32.

use crate::error::Result;
use crate::kernels::blocks::Matrix;
use crate::kernels::readback::read;
use crate::models::layers::linear::{Linear, LoraPath};
use crate::models::{Model, NamedWeight, Weight};
use burn::tensor::Tensor;
use std::collections::HashMap;

/// One weight of a tuned model.
pub struct MergedWeight {
    /// Hugging Face's.
    pub name: String,
    pub shape: Vec<usize>,
    base: Base,
    lora: Option<LoraPath>,
}

enum Base {
    Matrix(Tensor<2>),
    Linear(Matrix),
    Vector(Tensor<1>),
}

/// Every weight in checkpoint order; their values are read when they are asked for.
pub fn merged_weights(tuned: &Model) -> Vec<MergedWeight> {
    let mut tuned = tuned.clone();
    let path = |linear: &mut Linear| Some((format!("{}.weight", linear.path), linear.lora.clone()?));
    let mut paths: HashMap<String, LoraPath> = tuned.linears_mut().into_iter().filter_map(path).collect();
    let merged = |NamedWeight { name, weight, .. }: NamedWeight| MergedWeight {
        shape: weight.shape(),
        base: match weight {
            Weight::Matrix(weight) => Base::Matrix(weight.clone()),
            Weight::Linear(weight) => Base::Linear(weight.clone()),
            Weight::Vector(weight) => Base::Vector(weight.clone()),
        },
        lora: paths.remove(&name),
        name,
    };
    tuned.weights_mut().into_iter().map(merged).collect()
}

impl MergedWeight {
    /// Row-major.
    ///
    /// # Errors
    /// A device that stops answering.
    pub async fn read(&self) -> Result<Vec<f32>> {
        let mut values = match &self.base {
            Base::Matrix(weight) => read(weight.clone()).await?,
            Base::Linear(weight) => read(weight.dense()).await?,
            Base::Vector(weight) => read(weight.clone()).await?,
        };
        if let (Some(path), &[out, input]) = (&self.lora, &self.shape[..]) {
            let [lora_a, lora_b] = path.factors([out, input]);
            let (lora_a, lora_b) = (read(lora_a).await?, read(lora_b).await?);
            let magnitude = match &path.magnitude {
                Some(magnitude) => Some(read(magnitude.clone()).await?),
                None => None,
            };
            add(&mut values, &lora_a, &lora_b, path, magnitude.as_deref());
        }
        Ok(values)
    }
}

/// Adds a low-rank path to a weight `[out, in]`, and gives each row DoRA's size where there is one.
fn add(weight: &mut [f32], lora_a: &[f32], lora_b: &[f32], path: &LoraPath, magnitude: Option<&[f32]>) {
    let (rank, scale) = (path.rank, path.scale as f32);
    let input = lora_a.len() / rank;
    let mut delta = vec![0.0; input];
    for (row, (weight, lora_b)) in weight.chunks_exact_mut(input).zip(lora_b.chunks_exact(rank)).enumerate() {
        delta.fill(0.0);
        for (lora_a, factor) in lora_a.chunks_exact(input).zip(lora_b) {
            delta.iter_mut().zip(lora_a).for_each(|(sum, value)| *sum += factor * value);
        }
        weight.iter_mut().zip(&delta).for_each(|(weight, delta)| *weight += scale * delta);
        if let Some(magnitude) = magnitude {
            let norm = weight.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
            let gain = magnitude[row] / norm;
            weight.iter_mut().for_each(|weight| *weight *= gain);
        }
    }
}
