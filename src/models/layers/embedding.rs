use crate::kernels::blocks::Matrix;
use crate::models::int_tensor;
use crate::models::visitor::{Visitor, Weight};
use burn::tensor::Tensor;
use std::sync::Arc;

/// A vector a token; of a decoder the output projection has the same form.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// `model.embed_tokens`
    pub path: Arc<str>,
    /// `[rows, hidden]`
    pub weight: Matrix,
}

impl Embedding {
    /// The rows of these numbers.
    ///
    /// # Shapes
    /// - output: `[ids.len(), hidden]`
    pub fn forward(&self, ids: &[u32]) -> Tensor<2> {
        self.weight.select(int_tensor(ids, &self.weight.device().inner()))
    }

    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.weight(format!("{}.weight", self.path), Weight::Linear(&mut self.weight));
    }
}
