//! Causal grouped-query attention (<https://arxiv.org/abs/2305.13245>) within documents, one operation each way.

use super::gemm::{Matrix, gemm, gemm_add};
use super::in_order;
use super::matmul::matmul;
use super::softmax::{softmax_row, softmax_row_backward};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};
use std::ops::Range;

/// Softmax(q·kᵀ)·v over the keys from the first of a token's document up to the token itself. Query head `h` reads
/// key/value head `h / (heads / kv_heads)`.
///
/// # Shapes
/// - qkv: `[batch * seq, heads + 2 * kv_heads, head_dim]`: queries, already scaled, then keys, then values
/// - first_keys: `[batch * seq]`, each below `seq`: where in its row a token's document starts
/// - output: `[batch * seq, heads, head_dim]`
pub fn causal_attention(qkv: Tensor<3>, first_keys: Tensor<1>, heads: usize, seq: usize) -> Tensor<3> {
    let (qkv, first_keys) = (qkv.into_dispatch(), first_keys.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Attention>::causal_attention(qkv, first_keys, heads, seq))
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
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seq: usize,
    ) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Attention for burn::backend::Wgpu {
    fn attention_forward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let head_dim = qkv.shape()[2];
        let qkv = filled_up::<Self>(qkv);
        let (output, saved) = super::gpu::attention::forward(&qkv, &first_keys, heads, seq);
        (cut_back::<Self>(output, head_dim), saved)
    }

    fn attention_backward(
        qkv: FloatTensor<Self>,
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seq: usize,
    ) -> FloatTensor<Self> {
        let head_dim = qkv.shape()[2];
        let [qkv, output, grad] = [qkv, output, grad].map(filled_up::<Self>);
        let gradient = super::gpu::attention::backward(&qkv, &output, &grad, &saved, seq);
        cut_back::<Self>(gradient, head_dim)
    }
}

/// Heads with zeros up to a whole number of fours, which change no product.
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn filled_up<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let missing = shape[2].next_multiple_of(4) - shape[2];
    if missing == 0 {
        return x;
    }
    let zeros =
        B::float_zeros([shape[0], shape[1], missing].into(), &x.device(), burn::tensor::FloatDType::F32);
    B::float_cat(vec![x, zeros], 2)
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn cut_back<B: Backend>(x: FloatTensor<B>, head_dim: usize) -> FloatTensor<B> {
    use burn::tensor::Slice;
    if x.shape()[2] == head_dim {
        return x;
    }
    B::float_slice(x, &[Slice::from(..), Slice::from(..), Slice::from(0..head_dim)])
}

/// Queries whose keys are cut at the block's end: what lies above the diagonal is mostly not computed.
const BLOCK: usize = 64;

fn blocks(seq: usize) -> impl Iterator<Item = Range<usize>> {
    (0..seq).step_by(BLOCK).map(move |start| start..(start + BLOCK).min(seq))
}

impl Attention for Flex {
    /// Saves the probabilities, block by block of each head.
    fn attention_forward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [qkv, first_keys] = [qkv, first_keys].map(in_order);
        let Sizes { tokens, batch, kv_heads, group, head_dim } = Sizes::of(&qkv, heads, seq);
        let first_keys = first_keys.storage::<f32>();
        let of_head: usize = blocks(seq).map(|block| block.len() * block.end).sum();
        let mut saved = vec![0.0; batch * heads * of_head];
        let mut rest = saved.as_mut_slice();
        let mut output = vec![0.0; tokens * heads * head_dim];
        let mut context = vec![0.0; BLOCK * head_dim];
        for (b, h) in (0..batch).flat_map(|b| (0..heads).map(move |h| (b, h))) {
            let (key_head, value_head) = (heads + h / group, heads + kv_heads + h / group);
            for block in blocks(seq) {
                let (queries, keys) = (block.len(), 0..block.end);
                let probabilities;
                (probabilities, rest) = rest.split_at_mut(queries * block.end);
                let key = rows(&qkv, b * seq, keys.clone(), key_head);
                gemm(&rows(&qkv, b * seq, block.clone(), h), &key.transposed(), probabilities);
                for (row, position) in probabilities.chunks_exact_mut(block.end).zip(block.clone()) {
                    softmax(row, first_keys[b * seq + position] as usize..position + 1);
                }
                let context = &mut context[..queries * head_dim];
                gemm(&plain(probabilities, queries), &rows(&qkv, b * seq, keys, value_head), context);
                put(context, &mut output, heads, head_dim, b * seq + block.start, h);
            }
        }
        let total = saved.len();
        (tensor(output, vec![tokens, heads, head_dim]), tensor(saved, vec![total]))
    }

    fn attention_backward(
        qkv: FloatTensor<Self>,
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seq: usize,
    ) -> FloatTensor<Self> {
        let heads = output.shape()[1];
        let [qkv, saved, grad] = [qkv, saved, grad].map(in_order);
        let Sizes { tokens, batch, kv_heads, group, head_dim } = Sizes::of(&qkv, heads, seq);
        let all_heads = heads + 2 * kv_heads;
        let mut rest = saved.storage::<f32>();
        let mut gradient = vec![0.0; tokens * all_heads * head_dim];
        let mut of_scores = vec![0.0; BLOCK * seq];
        let mut of_queries = vec![0.0; BLOCK * head_dim];
        for (b, kv_head) in (0..batch).flat_map(|b| (0..kv_heads).map(move |h| (b, h))) {
            let (key_head, value_head) = (heads + kv_head, heads + kv_heads + kv_head);
            let mut of_keys = vec![0.0; seq * head_dim];
            let mut of_values = of_keys.clone();
            for (h, block) in
                (0..group).flat_map(|h| blocks(seq).map(move |block| (kv_head * group + h, block)))
            {
                let (queries, keys) = (block.len(), 0..block.end);
                let probabilities;
                (probabilities, rest) = rest.split_at(queries * block.end);
                let of_scores = &mut of_scores[..queries * block.end];
                let of_output = rows(&grad, b * seq, block.clone(), h);
                let value = rows(&qkv, b * seq, keys.clone(), value_head);
                gemm(&of_output, &value.transposed(), of_scores);
                // Where a probability is 0 by the mask, so is the gradient of its score.
                let pairs = of_scores.chunks_exact_mut(block.end).zip(probabilities.chunks_exact(block.end));
                for (grads, row) in pairs {
                    softmax_row_backward(row, grads);
                }
                let (of_scores, upto) = (plain(of_scores, queries), block.end * head_dim);
                let of_queries = &mut of_queries[..queries * head_dim];
                gemm(&of_scores, &rows(&qkv, b * seq, keys, key_head), of_queries);
                put(of_queries, &mut gradient, all_heads, head_dim, b * seq + block.start, h);
                let query = rows(&qkv, b * seq, block.clone(), h);
                gemm_add(&of_scores.transposed(), &query, &mut of_keys[..upto]);
                gemm_add(&plain(probabilities, queries).transposed(), &of_output, &mut of_values[..upto]);
            }
            put(&of_keys, &mut gradient, all_heads, head_dim, b * seq, key_head);
            put(&of_values, &mut gradient, all_heads, head_dim, b * seq, value_head);
        }
        tensor(gradient, vec![tokens, all_heads, head_dim])
    }
}

struct Sizes {
    tokens: usize,
    batch: usize,
    kv_heads: usize,
    /// Query heads to a key/value head.
    group: usize,
    head_dim: usize,
}

impl Sizes {
    fn of(qkv: &FloatTensor<Flex>, heads: usize, seq: usize) -> Sizes {
        let shape = qkv.layout().shape();
        let kv_heads = (shape[1] - heads) / 2;
        let (batch, group) = (shape[0] / seq.max(1), heads / kv_heads);
        Sizes { tokens: shape[0], batch, kv_heads, group, head_dim: shape[2] }
    }
}

/// One head of the tokens `first + positions` of `[tokens, heads, head_dim]`.
fn rows(x: &FloatTensor<Flex>, first: usize, positions: Range<usize>, head: usize) -> Matrix<'_> {
    let shape = x.layout().shape();
    let (heads, head_dim) = (shape[1], shape[2]);
    Matrix {
        data: x.storage(),
        offset: ((first + positions.start) * heads + head) * head_dim,
        rows: positions.len(),
        columns: head_dim,
        row_stride: heads * head_dim,
        column_stride: 1,
    }
}

/// Values that lie row by row.
fn plain(data: &[f32], rows: usize) -> Matrix<'_> {
    let columns = data.len() / rows;
    Matrix { data, offset: 0, rows, columns, row_stride: columns, column_stride: 1 }
}

/// Writes the rows of one head, from the token `first` on, into `[tokens, heads, head_dim]`.
fn put(values: &[f32], whole: &mut [f32], heads: usize, head_dim: usize, first: usize, head: usize) {
    for (i, row) in values.chunks_exact(head_dim).enumerate() {
        whole[((first + i) * heads + head) * head_dim..][..head_dim].copy_from_slice(row);
    }
}

/// Softmax over `seen`, 0 elsewhere.
fn softmax(row: &mut [f32], seen: Range<usize>) {
    row[..seen.start].fill(0.0);
    row[seen.end..].fill(0.0);
    softmax_row(&mut row[seen]);
}

fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(values, shape), &Default::default())
}

impl<B: Attention, C: CheckpointStrategy> Attention for Autodiff<B, C> {
    fn causal_attention(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Attended;

        impl<B: Attention> Backward<B, 1> for Attended {
            /// qkv, the output, what the forward pass saved, and seq.
            type State = ([FloatTensor<B>; 3], usize);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let ([qkv, output, saved], seq) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::attention_backward(qkv, output, saved, grad, seq)
                });
            }
        }

        let node = qkv.node();
        let [qkv, first_keys] = [qkv, first_keys].map(|tensor| tensor.into_primitive());
        match Attended.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, saved) = B::attention_forward(qkv.clone(), first_keys, heads, seq);
                prepared.finish(([qkv, output.clone(), saved], seq), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::causal_attention(qkv, first_keys, heads, seq)),
        }
    }

    fn attention_forward(
        _qkv: FloatTensor<Self>,
        _first_keys: FloatTensor<Self>,
        _heads: usize,
        _seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("`causal_attention` is what takes gradients")
    }

    fn attention_backward(
        _qkv: FloatTensor<Self>,
        _output: FloatTensor<Self>,
        _saved: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
        _seq: usize,
    ) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are never taken")
    }
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
