//! Sentence embeddings: texts that belong together come near each other. Pairs are learned as by sentence-transformers'
//! `MultipleNegativesRankingLoss`, scored pairs as by its `CoSENTLoss`; the batch says which.

use super::Share;
use super::criterion::Criterion;
use crate::data::batch::Batch;
use crate::error::Result;
use crate::kernels::matmul::matmul;
use crate::metrics::{Counts, Metrics};
use crate::models::{Model, float_tensor, int_tensor};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// The objective `contrastive`.
#[derive(Debug)]
pub struct Contrastive {
    /// Cosines are multiplied by this.
    pub scale: f64,
}

impl Criterion for Contrastive {
    fn counts(&self, batch: &Batch) -> Counts {
        Counts { texts: batch.anchors, ..Counts::default() }
    }

    fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        Ok(share(model, batch, self.scale, whole))
    }

    fn metrics(&self, _: &[f64], _: &Counts) -> Metrics {
        // It is measured over all rows together, in an evaluation.
        Metrics::Nothing
    }
}

/// The batch's share of the mean over `whole.texts` anchors, or first sentences. Texts are set against those of their own
/// batch only, so batches differ by what is in them together.
pub fn share(model: &Model, batch: &Batch, scale: f64, whole: &Counts) -> Share {
    let part = batch.anchors as f64 / whole.texts as f64;
    Share { loss: loss(model.embeddings(&batch.input()), batch, scale) * part, figures: None }
}

/// The loss of one batch, `[1]`, from its embeddings.
///
/// # Shapes
/// - embeddings: `[batch, hidden]`, rows of length 1; anchors, then positives, then negatives, or first sentences, then
///   second ones
pub fn loss(embeddings: Tensor<2>, batch: &Batch, scale: f64) -> Tensor<1> {
    let [rows, _] = embeddings.dims();
    let first = embeddings.clone().narrow(0, 0, batch.anchors);
    let others = embeddings.narrow(0, batch.anchors, rows - batch.anchors);
    match batch.scores.is_empty() {
        true => ranking(first, others, scale),
        false => cosent(first, others, &batch.scores, scale),
    }
}

/// Cross-entropy of each anchor's own positive among all positives and negatives, by their cosines times `scale`
/// (InfoNCE; <https://arxiv.org/abs/1705.00652>, section 4.4).
///
/// # Shapes
/// - anchors: `[anchors, hidden]`
/// - candidates: `[candidates, hidden]`, the positives first
fn ranking(anchors: Tensor<2>, candidates: Tensor<2>, scale: f64) -> Tensor<1> {
    let [count, _] = anchors.dims();
    let own: Vec<u32> = (0..count as u32).collect();
    let own = int_tensor(&own, &anchors.device().inner()).unsqueeze_dim(1); // [anchors, 1]
    let scores = matmul(anchors, candidates.transpose()) * scale; // [anchors, candidates]
    -log_softmax(scores, 1).gather(1, own).mean()
}

/// log(1 + Σ exp(scale·(cos_i − cos_j))) over all pairs i with a lower score than pair j
/// (<https://kexue.fm/archives/8847>).
///
/// # Shapes
/// - first, second: `[pairs, hidden]`
/// - scores: `[pairs]`
fn cosent(first: Tensor<2>, second: Tensor<2>, scores: &[f32], scale: f64) -> Tensor<1> {
    // Far below any cosine's difference, so that exp gives 0.
    const LEFT_OUT: f32 = -1e12;
    let pairs = scores.len();
    let device = first.device().inner();
    let cosines = (first * second).sum_dim(1) * scale; // [pairs, 1]
    let apart = cosines.clone() - cosines.transpose(); // [pairs, pairs]
    let counts = |low: &f32| {
        scores.iter().map(move |high| if low < high { 0.0 } else { LEFT_OUT }).collect::<Vec<_>>()
    };
    let mask = float_tensor(scores.iter().flat_map(counts).collect(), [pairs, pairs], &device);
    let terms = (apart + mask).reshape([pairs * pairs]);
    let terms = Tensor::cat(vec![Tensor::zeros([1], &device), terms], 0);
    let top = terms.clone().max().detach();
    (terms - top.clone()).exp().sum().log() + top
}
