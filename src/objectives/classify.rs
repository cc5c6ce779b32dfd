//! Sequence classification: cross-entropy of a text's class, from the `score` head on its last token, as transformers'
//! `LlamaForSequenceClassification` with one label a text; of an encoder, from the head on the mean of its tokens.

use super::Share;
use super::criterion::Criterion;
use crate::data::batch::Batch;
use crate::error::Result;
use crate::kernels::matmul::matmul;
use crate::metrics::{ClassificationMetrics, Counts, Metrics};
use crate::models::{Model, float_tensor, int_tensor};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// The objective `classify`.
#[derive(Debug)]
pub struct Classify {
    /// The classes to tell apart.
    pub labels: Vec<String>,
}

impl Criterion for Classify {
    fn counts(&self, batch: &Batch) -> Counts {
        Counts { texts: batch.batch, ..Counts::default() }
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model, batch, whole))
    }

    fn metrics(&self, sums: &[f64], _: &Counts) -> Metrics {
        Metrics::Classification(ClassificationMetrics::from_counts(sums, &self.labels))
    }
}

/// The batch's share of the mean over `whole.texts` texts. Its figures are the confusion matrix.
pub fn share(model: &Model, batch: &Batch, whole: &Counts) -> Share {
    let scores = model.scores(&batch.input()); // [batch, num_labels]
    let device = model.device();
    let classes = int_tensor(&batch.classes, &device).unsqueeze_dim(1); // [batch, 1]
    let losses = -log_softmax(scores.clone(), 1).gather(1, classes);
    Share {
        loss: losses.sum() / whole.texts as f64,
        figures: Some(confusion(scores.inner(), &batch.classes)),
    }
}

/// How many texts of each class were taken for each class.
///
/// # Shapes
/// - scores: `[batch, num_labels]`
/// - output: `[num_labels * num_labels]`, a row a true class
fn confusion(scores: Tensor<2>, classes: &[u32]) -> Tensor<1> {
    let [batch, labels] = scores.dims();
    let mut truth = vec![0.0; labels * batch];
    classes.iter().enumerate().for_each(|(row, &class)| truth[class as usize * batch + row] = 1.0);
    let truth = float_tensor(truth, [labels, batch], &scores.device());
    let columns: Vec<u32> = (0..labels as u32).collect();
    let columns: Tensor<2, Int> = int_tensor(&columns, &scores.device()).unsqueeze_dim(0);
    // Not `one_hot`, which reads its input back and waits for it.
    let guess = scores.argmax(1).expand([batch, labels]).equal(columns.expand([batch, labels])).float();
    matmul(truth, guess).reshape([labels * labels])
}
