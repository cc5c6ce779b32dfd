use super::cache::LayerCache;
use super::linear::{Linear, forward_together};
use super::rms_norm::RmsNorm;
use super::rotary::Rotation;
use crate::kernels::attention::{cached_attention, causal_attention};
use crate::kernels::head_norm::norm_heads;
use crate::kernels::{matmul::matmul, softmax::softmax};
use crate::models::block::{CachedContext, Context};
use crate::models::config::Heads;
use crate::models::visitor::Visitor;
use crate::models::{Input, float_tensor};
use burn::tensor::{Device, Tensor};

/// Grouped-query self-attention (<https://arxiv.org/abs/2305.13245>).
#[derive(Debug, Clone)]
pub struct Attention {
    /// The projections to queries, keys and values.
    pub projections: [Linear; 3],
    pub output: Linear,
    /// The norms of each query head and each key head by itself.
    pub head_norms: Option<HeadNorms>,
    pub heads: Heads,
    /// Queries are multiplied with it: usually 1/√head_dim.
    pub scale: f64,
    /// Which of the decoder's attention types it has.
    pub attention_type: usize,
}

/// RMSNorm over the channels of a head, before positions turn it.
#[derive(Debug, Clone)]
pub struct HeadNorms {
    pub query: RmsNorm,
    pub key: RmsNorm,
}

impl Attention {
    /// Attention of the decoder's first type, whose queries are scaled by 1/√head_dim.
    pub fn new(projections: [Linear; 3], output: Linear, heads: Heads) -> Attention {
        let scale = (heads.head_dim as f64).powf(-0.5);
        Attention { projections, output, head_norms: None, heads, scale, attention_type: 0 }
    }

    /// # Shapes
    /// - x: `[batch * seq, hidden]`
    /// - residual: `[batch * seq, hidden]`, added to the output
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, x: Tensor<2>, residual: Tensor<2>, at: &Context) -> Tensor<2> {
        let view = &at.views[self.attention_type];
        let qkv = self.project(x, &view.rotation);
        self.project_back(causal_attention(qkv, view.first_keys.clone(), self.heads.heads, at.seq), residual)
    }

    /// Continues sequences whose earlier keys and values are in the cache.
    ///
    /// # Shapes
    /// - x, residual, output: `[batch * seq, hidden]`
    pub fn decode(
        &self,
        x: Tensor<2>,
        residual: Tensor<2>,
        at: &CachedContext,
        cache: &mut LayerCache,
    ) -> Tensor<2> {
        let (view, batch, tokens) = (&at.views[self.attention_type], at.batch, x.dims()[0]);
        let (Heads { heads, kv_heads, head_dim }, past) = (self.heads, cache.len());
        let qkv = self.project(x, &view.rotation);
        // [batch, heads, seq, head_dim]
        let part = |first: usize, count: usize| {
            let part = qkv.clone().narrow(1, first, count);
            part.reshape([batch, tokens / batch, count, head_dim]).swap_dims(1, 2)
        };
        let (k, v) = cache.extend(part(heads, kv_heads), part(heads + kv_heads, kv_heads));
        let context = match tokens > batch {
            true => cached_attention(qkv, k, v, past, view.window),
            // A kernel that sums up key by key would leave a GPU idle for a single token.
            false => {
                let context = attend(part(0, heads), k, v, view.mask.as_ref());
                context.swap_dims(1, 2).reshape([tokens, heads, head_dim])
            }
        };
        self.project_back(context, residual)
    }

    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.linears(self.projections.iter_mut().collect());
        visitor.linears(vec![&mut self.output]);
        if let Some(HeadNorms { query, key }) = &mut self.head_norms {
            query.visit(visitor);
            key.visit(visitor);
        }
    }

    /// Numbers of a token that are kept for the backward pass: queries, keys and values, attention's output, and where
    /// probabilities are kept, the half of them that causality leaves.
    pub fn kept_floats(&self, seq: u64, keeps_probabilities: bool) -> u64 {
        let [heads, kv_heads, head_dim] =
            [self.heads.heads, self.heads.kv_heads, self.heads.head_dim].map(|size| size as u64);
        let probabilities = if keeps_probabilities { heads.saturating_mul(seq.div_ceil(2)) } else { 0 };
        let normed = if self.head_norms.is_some() { (heads + 2 * kv_heads) * head_dim } else { 0 };
        probabilities.saturating_add(2 * (heads + kv_heads) * head_dim + normed)
    }

    /// Numbers of a token in the cache: a key and a value a head.
    pub fn cached_floats(&self) -> u64 {
        2 * (self.heads.kv_heads * self.heads.head_dim) as u64
    }

    /// Queries, scaled, keys and values: `[tokens, heads + 2 * kv_heads, head_dim]`.
    fn project(&self, x: Tensor<2>, rotation: &Rotation) -> Tensor<3> {
        let tokens = x.dims()[0];
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let [q, k, v] = &self.projections;
        let qkv = forward_together(&[q, k, v], x, None).reshape([tokens, heads + 2 * kv_heads, head_dim]);
        let qkv = match &self.head_norms {
            Some(HeadNorms { query, key }) => {
                norm_heads(qkv, query.weight.clone(), key.weight.clone(), heads, query.eps)
            }
            None => qkv,
        };
        rotation.apply(qkv, heads, kv_heads, self.scale)
    }

    fn project_back(&self, context: Tensor<3>, residual: Tensor<2>) -> Tensor<2> {
        let [tokens, heads, head_dim] = context.dims();
        forward_together(&[&self.output], context.reshape([tokens, heads * head_dim]), Some(residual))
    }
}

/// Where in its row the keys begin that each token sees: where its document starts, or, with a window, so many tokens before
/// it that with itself they fill the window. Padding counts as a document, so that its softmax stays finite; nothing reads the
/// result.
///
/// # Shapes
/// - output: `[batch * seq]`
pub fn first_keys(input: &Input, window: Option<usize>, device: &Device) -> Tensor<1> {
    let mut first_keys = Vec::with_capacity(input.document_ids.len());
    for row in input.document_ids.chunks(input.seq.max(1)) {
        let mut first = 0;
        for position in 0..row.len() {
            if row[position] != row[first] {
                first = position;
            }
            let in_window = window.map_or(0, |window| (position + 1).saturating_sub(window));
            first_keys.push(first.max(in_window) as f32);
        }
    }
    float_tensor(first_keys, [input.document_ids.len()], device)
}

/// Softmax(q·kᵀ + mask)·v. The query heads of one group are stacked along the sequence,
/// so keys and values are never repeated in memory.
///
/// # Shapes
/// - q: `[batch, heads, seq, head_dim]`, already scaled
/// - k, v: `[batch, kv_heads, keys, head_dim]`
/// - mask: `[batch, 1, seq, keys]`, or 1 where it is the same for all
/// - output: `[batch, heads, seq, head_dim]`
pub fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<&Tensor<4>>) -> Tensor<4> {
    let [batch, heads, seq, head_dim] = q.dims();
    let [_, kv_heads, keys, _] = k.dims();
    let group = heads / kv_heads;
    let q = q.reshape([batch, kv_heads, group * seq, head_dim]);
    let mut scores = matmul(q, k.transpose()); // [batch, kv_heads, group * seq, keys]
    if let Some(mask) = mask {
        let stacked = scores.reshape([batch, heads, seq, keys]) + mask.clone();
        scores = stacked.reshape([batch, kv_heads, group * seq, keys]);
    }
    matmul(softmax(scores), v).reshape([batch, heads, seq, head_dim])
}

/// Padding attends to itself, so that its softmax stays finite; nothing reads the result.
const BLOCKED: f32 = -1e9;

/// The additive mask of an encoder, in which every token sees its whole text: 0 there, a large negative number for
/// other documents and padding.
///
/// # Shapes
/// - output: `[batch, 1, seq, seq]`
pub fn padding_mask(input: &Input, device: &Device) -> Tensor<4> {
    let seq = input.seq;
    let allowed = |query: u32, key: u32| if query == key { 0.0 } else { BLOCKED };
    let rows = input.document_ids.chunks(seq);
    let mask =
        rows.flat_map(|row| row.iter().flat_map(|&query| row.iter().map(move |&key| allowed(query, key))));
    float_tensor(mask.collect(), [input.batch, 1, seq, seq], device)
}
