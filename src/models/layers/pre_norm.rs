use super::attention::Attention;
use super::cache::LayerCache;
use super::mlp::Mlp;
use super::rms_norm::RmsNorm;
use crate::models::block::{Block, CachedContext, Context, Parts};
use crate::models::visitor::Visitor;
use burn::tensor::Tensor;

/// A block with a norm before its attention and one before its MLP, each of which is added to what went in
/// (<https://arxiv.org/abs/2002.04745>).
#[derive(Debug, Clone)]
pub struct PreNorm {
    pub attention_norm: RmsNorm,
    pub attention: Attention,
    pub mlp_norm: RmsNorm,
    pub mlp: Mlp,
}

impl PreNorm {
    pub fn boxed(self) -> Box<dyn Block> {
        Box::new(self)
    }

    fn around(
        &self,
        x: Tensor<2>,
        attend: impl FnOnce(&Attention, Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let [normed, residual] = self.attention_norm.beside_residual(x);
        let x = attend(&self.attention, normed, residual);
        let [normed, residual] = self.mlp_norm.beside_residual(x);
        self.mlp.forward(normed, residual)
    }
}

impl Parts for PreNorm {
    fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        self.attention_norm.visit(visitor);
        self.attention.visit(visitor);
        self.mlp_norm.visit(visitor);
        self.mlp.visit(visitor);
    }

    /// Inputs and outputs of both norms, and what attention and the MLP keep.
    fn kept_floats(&self, seq: u64, keeps_probabilities: bool) -> u64 {
        let [hidden] = self.attention_norm.weight.dims();
        let attention = self.attention.kept_floats(seq, keeps_probabilities);
        (4 * hidden as u64).saturating_add(attention).saturating_add(self.mlp.kept_floats())
    }
}

impl Block for PreNorm {
    fn forward(&self, x: Tensor<2>, at: &Context) -> Tensor<2> {
        self.around(x, |attention, x, residual| attention.forward(x, residual, at))
    }

    fn decode(&self, x: Tensor<2>, at: &CachedContext, cache: &mut LayerCache) -> Tensor<2> {
        self.around(x, |attention, x, residual| attention.decode(x, residual, at, cache))
    }

    fn new_cache(&self, expected: usize) -> LayerCache {
        LayerCache::expecting(expected)
    }

    fn cached_floats(&self) -> u64 {
        self.attention.cached_floats()
    }

    fn boxed_clone(&self) -> Box<dyn Block> {
        self.clone().boxed()
    }
}
