//! One vector a text, as sentence-transformers makes it: the mean of the hidden states of its tokens, scaled to length 1
//! (<https://arxiv.org/abs/1908.10084>).

use super::{Input, Model, float_tensor};
use crate::kernels::matmul::matmul;
use burn::tensor::Tensor;

impl Model {
    /// The embedding of each row; padding does not count. The dot product of two is their cosine.
    ///
    /// # Shapes
    /// - output: `[batch, hidden]`
    pub fn embeddings(&self, input: &Input) -> Tensor<2> {
        normalised(mean(self.forward(input), input))
    }
}

/// The mean over each row's tokens; padding does not count.
///
/// # Shapes
/// - hidden: `[batch * seq, hidden]`
/// - output: `[batch, hidden]`
pub(super) fn mean(hidden: Tensor<2>, input: &Input) -> Tensor<2> {
    let [_, width] = hidden.dims();
    let shares = input.document_ids.chunks(input.seq).flat_map(|row| {
        let tokens = row.iter().filter(|&&document| document > 0).count().max(1);
        row.iter().map(move |&document| if document > 0 { 1.0 / tokens as f32 } else { 0.0 })
    });
    let shares = float_tensor(shares.collect(), [input.batch, 1, input.seq], &hidden.device().inner());
    matmul(shares, hidden.reshape([input.batch, input.seq, width])).squeeze_dim(1)
}

/// Rows of length 1.
///
/// # Shapes
/// - x, output: `[batch, hidden]`
fn normalised(x: Tensor<2>) -> Tensor<2> {
    // torch.nn.functional.normalize's own floor.
    let length = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    x / length
}
