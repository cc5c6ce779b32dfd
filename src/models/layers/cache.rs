use crate::models::int_tensor;
use burn::tensor::Tensor;

/// Keys and values of the tokens already seen, of one block.
#[derive(Debug, Clone, Default)]
pub struct LayerCache {
    /// `[batch, kv_heads, room, head_dim]` each, zeros behind the tokens held.
    keys_values: Option<(Tensor<4>, Tensor<4>)>,
    len: usize,
    /// The least that there is room for once something is held.
    expected: usize,
}

impl LayerCache {
    /// For sequences that will have so many tokens, or more.
    pub fn expecting(len: usize) -> LayerCache {
        LayerCache { expected: len, ..LayerCache::default() }
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
        LayerCache::room((self.len + more).max(self.expected))
    }

    /// Keeps these sequences, in this order; one named twice is there twice.
    pub fn select(&mut self, sequences: &[u32]) {
        self.keys_values = self.keys_values.take().map(|(keys, values)| {
            let sequences = int_tensor(sequences, &keys.device());
            (keys.select(0, sequences.clone()), values.select(0, sequences))
        });
    }

    /// Keys and values with the new ones, `[batch, kv_heads, room, head_dim]`.
    pub(super) fn extend(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
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
