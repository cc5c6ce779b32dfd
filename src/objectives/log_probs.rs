//! How likely a model finds the answers of a batch.

use crate::data::batch::Batch;
use crate::models::head::token_losses;
use crate::models::{Decoder, float_tensor, int_tensor};
use burn::tensor::Tensor;

/// The log-probability of each row's target tokens, summed over the row.
///
/// # Shapes
/// - output: `[batch]`
pub fn row_log_probs(model: &Decoder, batch: &Batch) -> Tensor<1> {
    let positions: Vec<usize> = (0..batch.targets.len()).filter(|&i| batch.targets_mask[i]).collect();
    let targets: Vec<u32> = positions.iter().map(|&i| batch.targets[i]).collect();
    let mut weights = vec![0.0; batch.batch * positions.len()];
    for (column, position) in positions.iter().enumerate() {
        weights[position / batch.seq * positions.len() + column] = -1.0;
    }
    weighted_losses(model, batch, &positions, &targets, weights)
}

/// The reference's [`row_log_probs`], without gradients, by the operations that gave the model's:
/// a model that has not moved yet has rewards of exactly 0.
pub fn reference_log_probs(reference: &Decoder, batch: &Batch, of_model: &Tensor<1>) -> Tensor<1> {
    let mut reference = reference.clone();
    if of_model.is_autodiff() {
        // Autodiff takes some operations apart, softmax for one, and so rounds otherwise. Nothing here
        // requires a gradient, so nothing is recorded.
        reference.embedding.weight = reference.embedding.weight.autodiff();
    }
    row_log_probs(&reference, batch).inner()
}

/// The log-probability of each target token when tokens are sampled at `temperature`, row after row.
///
/// # Shapes
/// - output: `[supervised_tokens]`
pub fn token_log_probs(model: &Decoder, batch: &Batch, temperature: f64) -> Tensor<1> {
    let positions: Vec<usize> = (0..batch.targets.len()).filter(|&i| batch.targets_mask[i]).collect();
    let targets: Vec<u32> = positions.iter().map(|&i| batch.targets[i]).collect();
    let positions: Vec<u32> = positions.iter().map(|&i| i as u32).collect();
    let hidden = model.forward(&batch.input()); // [batch * seq, hidden]
    let hidden = hidden.select(0, int_tensor(&positions, &model.device())) / temperature;
    -token_losses(hidden, model.head(), &targets)
}

/// [`token_log_probs`] without gradients, by the operations that training uses: those of a model that has not moved are
/// exactly its own.
pub fn fixed_token_log_probs(model: &Decoder, batch: &Batch, temperature: f64) -> Tensor<1> {
    let mut model = model.clone();
    model.embedding.weight = model.embedding.weight.autodiff();
    token_log_probs(&model, batch, temperature).inner()
}

/// How many target tokens each row has, `[batch]`.
pub fn row_lengths(batch: &Batch) -> Vec<usize> {
    let count = |row: &[bool]| row.iter().filter(|&&mask| mask).count();
    batch.targets_mask.chunks(batch.seq).map(count).collect()
}

/// Sums of token losses, each sum with its own weights.
///
/// # Shapes
/// - positions, targets: `[tokens]`, where in the batch to predict, and what
/// - weights: `[sums * tokens]`, row-major
/// - output: `[sums]`
pub fn weighted_losses(
    model: &Decoder,
    batch: &Batch,
    positions: &[usize],
    targets: &[u32],
    weights: Vec<f32>,
) -> Tensor<1> {
    let device = model.device();
    let hidden = model.forward(&batch.input()); // [batch * seq, hidden]
    let positions: Vec<u32> = positions.iter().map(|&i| i as u32).collect();
    let losses = token_losses(hidden.select(0, int_tensor(&positions, &device)), model.head(), targets);
    let sums = weights.len() / targets.len().max(1);
    let weights = float_tensor(weights, [sums, targets.len()], &device);
    (weights * losses.unsqueeze()).sum_dim(1).squeeze_dim(1)
}
