//! Scores of a model on held-out rows.

use crate::data::batch::{BatchOptions, collate, epoch_batches};
use crate::data::encode::Example;
use crate::error::{Error, Result};
use crate::models::Llama;
use crate::objectives::Loss;
use crate::train::metrics::Evaluation;
use burn::tensor::Tensor;

/// Mean loss over all target tokens of the rows.
///
/// # Errors
/// A device that stops answering.
pub async fn loss(model: &Llama, rows: &[Example], options: &BatchOptions, loss: Loss) -> Result<Evaluation> {
    let (mut sum, mut tokens) = (0.0, 0);
    for batch_rows in epoch_batches(rows, options, 0, 0) {
        let batch = collate(rows, &batch_rows, options);
        if batch.supervised_tokens == 0 {
            continue;
        }
        sum += read(loss(model, &batch)).await?[0] as f64;
        tokens += batch.supervised_tokens;
    }
    let mean = sum / tokens.max(1) as f64;
    Ok(Evaluation { loss: mean, perplexity: mean.exp(), tokens, examples: rows.len() })
}

/// The values of a tensor, read without blocking (a browser cannot wait for a GPU).
///
/// # Errors
/// A device that stops answering.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |error: String| Error::Device {
        reason: format!("it stopped answering ({error}); reload and resume"),
    };
    let data = tensor.into_data_async().await.map_err(|error| failed(format!("{error:?}")))?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))
}
