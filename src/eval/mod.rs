//! Scores of a model on held-out rows.

pub mod embeddings;
pub mod forgetting;
pub mod overlap;
pub mod worth;

use crate::data::batch::{Batch, BatchOptions, collate, epoch_batches};
use crate::data::encode::Example;
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::metrics::{Counts, Evaluation, Metrics};
use crate::models::Model;
use crate::objectives::Loss;
use burn::tensor::Tensor;

/// Mean loss over all rows, and what else the objective measures.
///
/// # Errors
/// A device that stops answering.
pub async fn loss(
    model: &Model,
    rows: &[Example],
    options: &BatchOptions,
    loss: &Loss,
) -> Result<Evaluation> {
    if loss.compares_embeddings() {
        return embeddings::evaluate(model, rows, options, loss).await;
    }
    let loss = &loss.without_penalty();
    let batches: Vec<Batch> =
        epoch_batches(rows, options, 0, 0).iter().map(|batch| collate(rows, batch, options)).collect();
    let whole: Counts = batches.iter().map(|batch| loss.counts(batch)).sum();
    let (mut mean, mut sums, mut tokens) = (0.0, Vec::new(), 0);
    for batch in batches.iter().filter(|batch| !loss.counts(batch).is_empty()) {
        let share = loss.share(model, batch, &whole)?;
        let figures = match share.figures {
            Some(figures) => Tensor::cat(vec![share.loss, figures], 0),
            None => share.loss,
        };
        let figures = read(figures).await?;
        mean += figures[0] as f64;
        sums.resize(figures.len() - 1, 0.0);
        sums.iter_mut().zip(&figures[1..]).for_each(|(sum, &figure)| *sum += figure as f64);
        tokens += if model.score().is_some() { batch.tokens } else { batch.supervised_tokens };
    }
    if !mean.is_finite() {
        return Err(Error::Training {
            reason: "the loss over the rows is not a number; if it was one before training, lower train.learning_rate, else take \
                     another copy of the model"
                .into(),
        });
    }
    let mut metrics = loss.metrics(&sums, &whole);
    if let Metrics::Tokens(metrics) = &mut metrics {
        metrics.perplexity = Some(mean.exp());
    }
    Ok(Evaluation { loss: mean, metrics, probe_loss: None, tokens, examples: rows.len() })
}
