//! What a model asks of its blocks, whatever they are made of.

use super::layers::cache::LayerCache;
use super::layers::rotary::{RotaryEmbedding, Rotation};
use super::visitor::Visitor;
use burn::tensor::Tensor;
use std::fmt::Debug;

/// What adapters, checkpointing and estimates of memory ask of any block.
pub trait Parts: Debug + Send + Sync {
    /// Hands out the block's weights, in checkpoint order.
    fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>);

    /// Numbers of a token that the forward pass keeps for the backward pass, in rows of `seq` tokens, without those of
    /// low-rank paths.
    fn kept_floats(&self, seq: u64, keeps_probabilities: bool) -> u64;
}

/// A block of a decoder: hidden states go in, hidden states come out, and a token sees the tokens before it.
pub trait Block: Parts {
    /// # Shapes
    /// - x, output: `[batch * seq, hidden]`
    fn forward(&self, x: Tensor<2>, at: &Context) -> Tensor<2>;

    /// Continues sequences whose earlier tokens are in the cache.
    ///
    /// # Shapes
    /// - x, output: `[batch * seq, hidden]`
    fn decode(&self, x: Tensor<2>, at: &CachedContext, cache: &mut LayerCache) -> Tensor<2>;

    /// An empty cache for sequences that will have so many tokens, or more.
    fn new_cache(&self, expected: usize) -> LayerCache;

    /// Numbers that the cache holds of a token.
    fn cached_floats(&self) -> u64;

    /// A copy that shares tensors.
    fn boxed_clone(&self) -> Box<dyn Block>;
}

impl Clone for Box<dyn Block> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// A block of an encoder: every token sees its whole text.
pub trait EncoderBlock: Parts {
    /// # Shapes
    /// - x, output: `[batch * seq, hidden]`
    /// - mask: `[batch, 1, seq, seq]`, added to the scores
    fn forward(&self, x: Tensor<2>, batch: usize, mask: &Tensor<4>) -> Tensor<2>;

    /// A copy that shares tensors.
    fn boxed_clone(&self) -> Box<dyn EncoderBlock>;
}

impl Clone for Box<dyn EncoderBlock> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// How the attention of some blocks sees tokens: in Gemma, local blocks and global ones. What a decoder has one of, or two.
#[derive(Debug, Clone)]
pub struct AttentionType {
    pub rotary: RotaryEmbedding,
    /// How many tokens a token sees, itself included; `None` for all of its document.
    pub window: Option<usize>,
}

impl AttentionType {
    /// A type for each window that occurs in a model whose blocks have these, and which type each block has.
    pub fn of_windows(
        rotary: &RotaryEmbedding,
        windows: &[Option<usize>],
    ) -> (Vec<AttentionType>, Vec<usize>) {
        let mut types: Vec<AttentionType> = Vec::new();
        let mut type_of = |window: &Option<usize>| {
            types.iter().position(|known| known.window == *window).unwrap_or_else(|| {
                types.push(AttentionType { rotary: rotary.clone(), window: *window });
                types.len() - 1
            })
        };
        let type_of = windows.iter().map(&mut type_of).collect();
        (types, type_of)
    }
}

/// A micro-batch as blocks see it; the same for all of them.
#[derive(Debug, Clone)]
pub struct Context {
    pub seq: usize,
    /// One an [`AttentionType`].
    pub views: Vec<View>,
}

/// What one attention type sees of a micro-batch.
#[derive(Debug, Clone)]
pub struct View {
    pub rotation: Rotation,
    /// `[batch * seq]`: where in its row the keys that a token sees begin.
    pub first_keys: Tensor<1>,
}

/// Pieces of sequences that follow what is in the caches.
#[derive(Debug, Clone)]
pub struct CachedContext {
    pub batch: usize,
    /// One an [`AttentionType`].
    pub views: Vec<CachedView>,
}

/// What one attention type sees of them.
#[derive(Debug, Clone)]
pub struct CachedView {
    pub rotation: Rotation,
    /// Added to the scores of one token, `[1, 1, 1, room]`; `None` where it sees every place, and of several tokens.
    pub mask: Option<Tensor<4>>,
    pub window: Option<usize>,
}
