use super::linear::{Linear, forward_together};
use super::rotary::Rotation;
use crate::kernels::attention::{cached_attention, causal_attention};
use crate::kernels::{matmul::matmul, softmax::softmax};
use crate::models::{Input, float_tensor, int_tensor};
use burn::tensor::{Device, Tensor};

/// Grouped-query self-attention (<https://arxiv.org/abs/2305.13245>).
#[derive(Debug, Clone)]
pub struct Attention {
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub o_proj: Linear,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
}

/// Keys and values of the tokens already seen, of one layer.
#[derive(Debug, Clone, Default)]
pub struct KeyValueCache {
    /// `[batch, kv_heads, room, head_dim]` each, zeros behind the tokens held.
    keys_values: Option<(Tensor<4>, Tensor<4>)>,
    len: usize,
    /// The least that there is room for once something is held.
    expected: usize,
}

impl KeyValueCache {
    /// For sequences that will have so many tokens, or more.
    pub fn expecting(len: usize) -> KeyValueCache {
        KeyValueCache { expected: len, ..KeyValueCache::default() }
    }

    /// How many tokens are held.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many tokens there is room for when so many are held: a new token is written behind the others, and all are copied
    /// only now and then.
    pub fn room(len: usize) -> usize {
        const STEP: usize = 32;
        len.next_multiple_of(STEP)
    }

    /// How many tokens there is room for once so many more are held.
    pub fn room_with(&self, more: usize) -> usize {
        let present = self.keys_values.as_ref().map_or(0, |(keys, _)| keys.dims()[2]);
        if self.len + more <= present {
            return present;
        }
        KeyValueCache::room((self.len + more).max(self.expected))
    }

    /// Keeps these sequences, in this order; one named twice is there twice.
    pub fn select(&mut self, sequences: &[u32]) {
        self.keys_values = self.keys_values.take().map(|(keys, values)| {
            let sequences = int_tensor(sequences, &keys.device());
            (keys.select(0, sequences.clone()), values.select(0, sequences))
        });
    }

    /// Keys and values with the new ones, `[batch, kv_heads, room, head_dim]`.
    fn extend(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, kv_heads, more, head_dim] = keys.dims();
        let (past, room) = (self.len, self.room_with(more));
        let extended = |old: Option<Tensor<4>>, new: Tensor<4>| {
            let present = old.as_ref().map_or(0, |old| old.dims()[2]);
            let whole = match old {
                Some(old) if present == room => old,
                old => {
                    let empty = Tensor::zeros([batch, kv_heads, room - present, head_dim], &new.device());
                    Tensor::cat(old.into_iter().chain([empty]).collect(), 2)
                }
            };
            whole.slice_assign([0..batch, 0..kv_heads, past..past + more, 0..head_dim], new)
        };
        let (old_keys, old_values) = self.keys_values.take().unzip();
        let (keys, values) = (extended(old_keys, keys), extended(old_values, values));
        self.keys_values = Some((keys.clone(), values.clone()));
        self.len += more;
        (keys, values)
    }
}

impl Attention {
    /// # Shapes
    /// - x: `[batch * seq, hidden]`
    /// - residual: `[batch * seq, hidden]`, added to the output
    /// - first_keys: `[batch * seq]`, as [`first_keys`] gives them
    /// - output: `[batch * seq, hidden]`
    pub fn forward(
        &self,
        x: Tensor<2>,
        residual: Tensor<2>,
        seq: usize,
        rotation: &Rotation,
        first_keys: &Tensor<1>,
    ) -> Tensor<2> {
        let qkv = self.project(x, rotation);
        self.output(causal_attention(qkv, first_keys.clone(), self.num_attention_heads, seq), residual)
    }

    /// Continues sequences whose earlier keys and values are in the cache.
    ///
    /// # Shapes
    /// - x, residual, output: `[batch * seq, hidden]`
    /// - mask: `[1, 1, 1, room]`, added to the scores of one token; `None` where no place is empty, and of several tokens
    pub fn forward_cached(
        &self,
        x: Tensor<2>,
        residual: Tensor<2>,
        batch: usize,
        rotation: &Rotation,
        mask: Option<&Tensor<4>>,
        cache: &mut KeyValueCache,
    ) -> Tensor<2> {
        let tokens = x.dims()[0];
        let (heads, kv_heads, past) = (self.num_attention_heads, self.num_key_value_heads, cache.len());
        let qkv = self.project(x, rotation);
        // [batch, heads, seq, head_dim]
        let part = |first: usize, count: usize| {
            let part = qkv.clone().narrow(1, first, count);
            part.reshape([batch, tokens / batch, count, self.head_dim]).swap_dims(1, 2)
        };
        let (k, v) = cache.extend(part(heads, kv_heads), part(heads + kv_heads, kv_heads));
        let context = match tokens > batch {
            true => cached_attention(qkv, k, v, past),
            // A kernel that sums up key by key would leave a GPU idle for a single token.
            false => {
                attend(part(0, heads), k, v, mask).swap_dims(1, 2).reshape([tokens, heads, self.head_dim])
            }
        };
        self.output(context, residual)
    }

    /// Queries, scaled, keys and values: `[tokens, heads + 2 * kv_heads, head_dim]`.
    fn project(&self, x: Tensor<2>, rotation: &Rotation) -> Tensor<3> {
        let tokens = x.dims()[0];
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        let qkv = forward_together(&[&self.q_proj, &self.k_proj, &self.v_proj], x, None);
        rotation.apply(qkv.reshape([tokens, heads + 2 * kv_heads, self.head_dim]), heads, kv_heads)
    }

    fn output(&self, context: Tensor<3>, residual: Tensor<2>) -> Tensor<2> {
        let tokens = context.dims()[0];
        let context = context.reshape([tokens, self.num_attention_heads * self.head_dim]);
        forward_together(&[&self.o_proj], context, Some(residual))
    }
}

/// Where in its row each token's document starts: tokens attend from there up to themselves. Padding counts as a
/// document, so that its softmax stays finite; nothing reads the result.
///
/// # Shapes
/// - output: `[batch * seq]`
pub fn first_keys(input: &Input, device: &Device) -> Tensor<1> {
    let mut first_keys = Vec::with_capacity(input.document_ids.len());
    for row in input.document_ids.chunks(input.seq.max(1)) {
        let mut first = 0;
        for position in 0..row.len() {
            if row[position] != row[first] {
                first = position;
            }
            first_keys.push(first as f32);
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
