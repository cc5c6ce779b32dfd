use super::linear::{Linear, forward_together};
use crate::kernels::swiglu::swiglu;
use crate::models::visitor::Visitor;
use burn::tensor::Tensor;

/// SwiGLU (<https://arxiv.org/abs/2002.05202>).
#[derive(Debug, Clone)]
pub struct Mlp {
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
}

impl Mlp {
    /// # Shapes
    /// - x, residual: `[tokens, hidden]`, the latter added to the output
    /// - output: `[tokens, hidden]`
    pub fn forward(&self, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        let gate_up = forward_together(&[&self.gate, &self.up], x, None); // [tokens, 2 * ffn]
        forward_together(&[&self.down], swiglu(gate_up), Some(residual))
    }

    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.linears(vec![&mut self.gate, &mut self.up]);
        visitor.linears(vec![&mut self.down]);
    }

    /// Numbers of a token that are kept for the backward pass: the gate, what it multiplies, and their product.
    pub fn kept_floats(&self) -> u64 {
        3 * self.gate.dims()[0] as u64
    }
}
