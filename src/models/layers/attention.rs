use super::linear::Linear;
use super::rotary::Rotation;
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

/// Keys and values of the tokens already seen, each `[batch, kv_heads, past, head_dim]`.
#[derive(Debug, Clone, Default)]
pub struct KeyValueCache {
    keys_values: Option<(Tensor<4>, Tensor<4>)>,
}

impl KeyValueCache {
    /// How many tokens are held.
    pub fn len(&self) -> usize {
        self.keys_values.as_ref().map_or(0, |(keys, _)| keys.dims()[2])
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps these sequences, in this order; one named twice is there twice.
    pub fn select(&mut self, sequences: &[u32]) {
        self.keys_values = self.keys_values.take().map(|(keys, values)| {
            let sequences = int_tensor(sequences, &keys.device());
            (keys.select(0, sequences.clone()), values.select(0, sequences))
        });
    }

    fn extend(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (keys, values) = match self.keys_values.take() {
            None => (keys, values),
            Some((old_keys, old_values)) => {
                (Tensor::cat(vec![old_keys, keys], 2), Tensor::cat(vec![old_values, values], 2))
            }
        };
        self.keys_values = Some((keys.clone(), values.clone()));
        (keys, values)
    }
}

impl Attention {
    /// # Shapes
    /// - x: `[batch * seq, hidden]`
    /// - mask: `[batch, 1, seq, past + seq]`, added to the scores; `None` when every key may be seen
    /// - output: `[batch * seq, hidden]`
    pub fn forward(
        &self,
        x: Tensor<2>,
        batch: usize,
        rotation: &Rotation,
        mask: Option<&Tensor<4>>,
        cache: Option<&mut KeyValueCache>,
    ) -> Tensor<2> {
        let seq = x.dims()[0] / batch;
        let heads = |x: Tensor<2>, count: usize| {
            x.reshape([batch, seq, count, self.head_dim]).swap_dims(1, 2) // [batch, heads, seq, head_dim]
        };
        let q = heads(self.q_proj.forward(x.clone()), self.num_attention_heads);
        let k = heads(self.k_proj.forward(x.clone()), self.num_key_value_heads);
        let v = heads(self.v_proj.forward(x), self.num_key_value_heads);
        let q = rotation.apply(q, (self.head_dim as f64).powf(-0.5));
        let k = rotation.apply(k, 1.0);
        let (k, v) = match cache {
            Some(cache) => cache.extend(k, v),
            None => (k, v),
        };
        let context = attend(q, k, v, mask); // [batch, heads, seq, head_dim]
        let context =
            context.swap_dims(1, 2).reshape([batch * seq, self.num_attention_heads * self.head_dim]);
        self.o_proj.forward(context)
    }
}

/// Softmax(q·kᵀ + mask)·v. The query heads of one group are stacked along the sequence,
/// so keys and values are never repeated in memory.
///
/// # Shapes
/// - q: `[batch, heads, seq, head_dim]`, already scaled
/// - k, v: `[batch, kv_heads, keys, head_dim]`
/// - mask: `[batch, 1, seq, keys]`
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

/// The additive mask of a micro-batch: 0 where a token may look, a large negative number
/// where it may not (later tokens, other documents, padding).
///
/// # Shapes
/// - output: `[batch, 1, seq, seq]`
pub fn attention_mask(input: &Input, device: &Device) -> Tensor<4> {
    let (batch, seq) = (input.batch, input.seq);
    let mut mask = vec![BLOCKED; batch * seq * seq];
    for row in 0..batch {
        let documents = &input.document_ids[row * seq..(row + 1) * seq];
        for (query, &document) in documents.iter().enumerate() {
            let line = &mut mask[(row * seq + query) * seq..][..=query];
            for (allowed, &other) in line.iter_mut().zip(documents) {
                if other == document {
                    *allowed = 0.0;
                }
            }
        }
    }
    float_tensor(mask, [batch, 1, seq, seq], device)
}

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
