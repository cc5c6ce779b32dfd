use crate::kernels::rms_norm::{rms_norm, rms_norm_beside_residual};
use crate::models::visitor::{Visitor, Weight};
use burn::tensor::Tensor;
use std::sync::Arc;

/// Root-mean-square normalisation (<https://arxiv.org/abs/1910.07467>).
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// `model.norm`
    pub path: Arc<str>,
    /// `[hidden]`
    pub weight: Tensor<1>,
    pub eps: f64,
}

impl RmsNorm {
    /// # Shapes
    /// - x: `[tokens, hidden]`
    /// - output: `[tokens, hidden]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, self.weight.clone(), self.eps)
    }

    /// The same of an x that the layer's output is added to, and that x.
    ///
    /// # Shapes
    /// - x, both outputs: `[tokens, hidden]`
    pub fn beside_residual(&self, x: Tensor<2>) -> [Tensor<2>; 2] {
        rms_norm_beside_residual(x, self.weight.clone(), self.eps)
    }

    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.weight(format!("{}.weight", self.path), Weight::Vector(&mut self.weight));
    }
}
