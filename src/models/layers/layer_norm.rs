use crate::models::visitor::{Visitor, Weight};
use burn::tensor::Tensor;
use std::sync::Arc;

/// Layer normalisation (<https://arxiv.org/abs/1607.06450>).
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `embeddings.LayerNorm`
    pub path: Arc<str>,
    /// `[hidden]`
    pub weight: Tensor<1>,
    /// `[hidden]`
    pub bias: Tensor<1>,
    pub eps: f64,
}

impl LayerNorm {
    /// # Shapes
    /// - x: `[tokens, hidden]`
    /// - output: `[tokens, hidden]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1); // [tokens, 1]
        let normalised = centred / (variance + self.eps).sqrt();
        normalised * self.weight.clone().unsqueeze() + self.bias.clone().unsqueeze()
    }

    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.weight(format!("{}.weight", self.path), Weight::Vector(&mut self.weight));
        visitor.weight(format!("{}.bias", self.path), Weight::Vector(&mut self.bias));
    }
}
