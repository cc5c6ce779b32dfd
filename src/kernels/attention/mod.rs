//! Causal grouped-query attention (<https://arxiv.org/abs/2305.13245>) within documents, one operation each way.

mod autodiff;
mod flex;

use super::matmul::matmul;
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Tensor, TensorData};

/// Softmax(q·kᵀ)·v over the keys from the first of a token's document up to the token itself. Query head `h` reads
/// key/value head `h / (heads / kv_heads)`.
///
/// # Shapes
/// - qkv: `[batch * seq, heads + 2 * kv_heads, head_dim]`: queries, already scaled, then keys, then values
/// - first_keys: `[batch * seq]`: the place in its row of the first key that a token sees, at most its own. It never falls along
///   a row. A token that sees itself alone begins a document, and no later token sees what is before it
/// - output: `[batch * seq, heads, head_dim]`
pub fn causal_attention(qkv: Tensor<3>, first_keys: Tensor<1>, heads: usize, seq: usize) -> Tensor<3> {
    let (qkv, first_keys) = (qkv.into_dispatch(), first_keys.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Attention>::causal_attention(qkv, first_keys, heads, seq))
}

/// The same of pieces of sequences, whose keys and values have been written behind those of the `past` tokens before them: each
/// token sees all from its sequence's first up to itself, or with a window so many, itself included. No scores are kept, and there
/// are no gradients.
///
/// # Shapes
/// - qkv: `[batch * seq, heads + 2 * kv_heads, head_dim]`; of these the queries are read
/// - keys, values: `[batch, kv_heads, room, head_dim]`, with `past + seq` of them there
/// - output: `[batch * seq, heads, head_dim]`
///
/// # Panics
/// When there is no room for so many.
pub fn cached_attention(
    qkv: Tensor<3>,
    keys: Tensor<4>,
    values: Tensor<4>,
    past: usize,
    window: Option<usize>,
) -> Tensor<3> {
    let [batch, _, room, _] = keys.dims();
    assert!(past + qkv.dims()[0] / batch <= room && keys.dims() == values.dims());
    let qkv = qkv.inner().into_dispatch();
    let [keys, values] = [keys, values].map(|tensor| tensor.inner().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Attention>::cached_attention(qkv, keys, values, past, window))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Attention: Backend {
    fn causal_attention(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> FloatTensor<Self> {
        Self::attention_forward(qkv, first_keys, heads, seq).0
    }

    fn cached_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        past: usize,
        window: Option<usize>,
    ) -> FloatTensor<Self>;

    /// The output, and what the backward pass needs of the probabilities.
    fn attention_forward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient for qkv.
    fn attention_backward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seq: usize,
    ) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Attention for burn::backend::Wgpu {
    fn cached_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        past: usize,
        window: Option<usize>,
    ) -> FloatTensor<Self> {
        let head_dim = qkv.shape()[2];
        let [qkv, keys, values] = [qkv, keys, values].map(pad::<Self>);
        unpad::<Self>(super::gpu::attention::cached(&qkv, &keys, &values, past, window), head_dim)
    }

    fn attention_forward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let head_dim = qkv.shape()[2];
        let qkv = pad::<Self>(qkv);
        let (output, saved) = super::gpu::attention::forward(&qkv, &first_keys, heads, seq);
        (unpad::<Self>(output, head_dim), saved)
    }

    fn attention_backward(
        qkv: FloatTensor<Self>,
        _first_keys: FloatTensor<Self>,
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seq: usize,
    ) -> FloatTensor<Self> {
        let head_dim = qkv.shape()[2];
        let [qkv, output, grad] = [qkv, output, grad].map(pad::<Self>);
        let gradient = super::gpu::attention::backward(&qkv, &output, &grad, &saved, seq);
        unpad::<Self>(gradient, head_dim)
    }
}

/// Heads with zeros up to a whole number of fours, which change no product.
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn pad<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    let missing = shape[last].next_multiple_of(4) - shape[last];
    if missing == 0 {
        return x;
    }
    shape[last] = missing;
    let zeros = B::float_zeros(shape, &x.device(), burn::tensor::FloatDType::F32);
    B::float_cat(vec![x, zeros], last)
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn unpad<B: Backend>(x: FloatTensor<B>, head_dim: usize) -> FloatTensor<B> {
    use burn::tensor::Slice;
    if x.shape()[2] == head_dim {
        return x;
    }
    B::float_slice(x, &[Slice::from(..), Slice::from(..), Slice::from(0..head_dim)])
}

/// The plain form: what the kernels must agree with. Shapes as for [`causal_attention`].
pub fn plain_attention(qkv: Tensor<3>, first_keys: &[usize], heads: usize, seq: usize) -> Tensor<3> {
    let [tokens, all_heads, head_dim] = qkv.dims();
    let kv_heads = (all_heads - heads) / 2;
    let q = qkv.clone().narrow(1, 0, heads);
    let k = qkv.clone().narrow(1, heads, kv_heads);
    let v = qkv.narrow(1, heads + kv_heads, kv_heads);
    let (batch, device) = (tokens / seq, q.device().inner());
    let q = q.reshape([batch, seq, heads, head_dim]).swap_dims(1, 2);
    let repeated = |x: Tensor<3>| {
        let x = x.reshape([batch, seq, kv_heads, 1, head_dim]).repeat_dim(3, heads / kv_heads);
        x.reshape([batch, seq, heads, head_dim]).swap_dims(1, 2)
    };
    let mut mask = vec![-1e9; tokens * seq];
    for (i, (row, &first)) in mask.chunks_exact_mut(seq).zip(first_keys).enumerate() {
        row[first..=i % seq].fill(0.0f32);
    }
    let mask = Tensor::<4>::from_data(TensorData::new(mask, [batch, 1, seq, seq]), &device);
    let mask = if q.is_autodiff() { mask.autodiff() } else { mask };
    let scores = matmul(q, repeated(k).transpose()) + mask;
    let context = matmul(burn::tensor::activation::softmax(scores, 3), repeated(v));
    context.swap_dims(1, 2).reshape([tokens, heads, head_dim])
}

#[cfg(test)]
mod tests {
    use super::flex::BLOCK;
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn values_and_gradients_are_the_plain_ones() {
        let device = Device::flex();
        // One block and more than one, documents that start within a row, odd heads.
        for (batch, seq, heads, kv_heads, head_dim) in [(2, 7, 4, 2, 5), (1, 2 * BLOCK + 3, 3, 1, 8)] {
            let tokens = batch * seq;
            let qkv = random([tokens, heads + 2 * kv_heads, head_dim], 1, &device) * 2.0;
            let target = random([tokens, heads, head_dim], 4, &device);
            let first_keys: Vec<usize> = (0..tokens).map(|i| if i % seq >= 4 { 4 } else { 0 }).collect();
            let as_floats: Vec<f32> = first_keys.iter().map(|&first| first as f32).collect();
            let as_floats = Tensor::<1>::from_floats(as_floats.as_slice(), &device);
            let run = |ours: bool| {
                let qkv = qkv.clone().autodiff().require_grad();
                let y = match ours {
                    true => causal_attention(qkv.clone(), as_floats.clone(), heads, seq),
                    false => plain_attention(qkv.clone(), &first_keys, heads, seq),
                };
                let gradients = (y.clone() * target.clone()).sum().backward();
                [y.inner(), qkv.grad(&gradients).unwrap()]
            };
            for (ours, plain) in run(true).into_iter().zip(run(false)) {
                close(ours, plain, 1e-5);
            }
        }
    }
}
