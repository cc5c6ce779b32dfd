//! Root-mean-square normalisation of each query head and each key head by itself (<https://arxiv.org/abs/2302.05442>), one
//! operation each way.

use super::contiguous;
use super::sums::dot;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Slice, Tensor};

/// `x / √(mean x² + eps) · weight` of each query head and each key head; values stay.
///
/// # Shapes
/// - qkv, output: `[tokens, heads + 2 * kv_heads, head_dim]`
/// - query_weight, key_weight: `[head_dim]`
pub fn norm_heads(
    qkv: Tensor<3>,
    query_weight: Tensor<1>,
    key_weight: Tensor<1>,
    heads: usize,
    eps: f64,
) -> Tensor<3> {
    let [query_weight, key_weight] =
        [query_weight, key_weight].map(|weight| weight.unsqueeze::<3>().into_dispatch());
    let qkv = qkv.into_dispatch();
    Tensor::from_dispatch(<Dispatch as HeadNorm>::norm_heads(
        qkv,
        query_weight,
        key_weight,
        heads,
        eps as f32,
    ))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait HeadNorm: Backend {
    /// The weights are `[1, 1, head_dim]`.
    fn norm_heads(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self>;

    /// The gradient for qkv; of a row as in [`super::rms_norm`].
    fn norm_heads_backward(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self>;
}

fn kv_heads(shape: &burn::tensor::Shape, heads: usize) -> usize {
    (shape[1] - heads) / 2
}

/// Some heads of every token.
fn part<B: Backend>(x: &FloatTensor<B>, heads: std::ops::Range<usize>) -> FloatTensor<B> {
    B::float_slice(x.clone(), &[Slice::from(..), Slice::from(heads), Slice::from(..)])
}

/// `[tokens, heads, 1]`
fn inverse_rms<B: Backend>(x: FloatTensor<B>, eps: f32) -> FloatTensor<B> {
    let mean_square = B::float_mean_dim(B::float_mul(x.clone(), x), 2);
    B::float_recip(B::float_sqrt(B::float_add_scalar(mean_square, eps.into())))
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl HeadNorm for burn::backend::Wgpu {
    fn norm_heads(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self> {
        use burn::backend::ops::FloatTensorOps;
        super::gpu::head_norm::norm_heads(&qkv, &query_weight, &key_weight, heads, eps).unwrap_or_else(|| {
            let (shape, kv_heads) = (qkv.shape(), kv_heads(&qkv.shape(), heads));
            let normed = |heads, weight: &FloatTensor<Self>| {
                let x = part::<Self>(&qkv, heads);
                let normal = Self::float_mul(x.clone(), inverse_rms::<Self>(x, eps));
                Self::float_mul(normal, weight.clone())
            };
            let keys = heads..heads + kv_heads;
            let values = part::<Self>(&qkv, keys.end..shape[1]);
            Self::float_cat(vec![normed(0..heads, &query_weight), normed(keys, &key_weight), values], 1)
        })
    }

    fn norm_heads_backward(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self> {
        use burn::backend::ops::FloatTensorOps;
        let ours = super::gpu::head_norm::backward(&qkv, &query_weight, &key_weight, &grad, heads, eps);
        ours.unwrap_or_else(|| {
            let (shape, kv_heads) = (qkv.shape(), kv_heads(&qkv.shape(), heads));
            let back = |heads: std::ops::Range<usize>, weight: &FloatTensor<Self>| {
                let x = part::<Self>(&qkv, heads.clone());
                let inverse = inverse_rms::<Self>(x.clone(), eps);
                let grad = Self::float_mul(part::<Self>(&grad, heads), weight.clone());
                let mean = Self::float_mean_dim(Self::float_mul(grad.clone(), x.clone()), 2);
                let back = Self::float_mul(mean, Self::float_mul(inverse.clone(), inverse.clone()));
                Self::float_mul(Self::float_sub(grad, Self::float_mul(x, back)), inverse)
            };
            let keys = heads..heads + kv_heads;
            let values = part::<Self>(&grad, keys.end..shape[1]);
            Self::float_cat(vec![back(0..heads, &query_weight), back(keys, &key_weight), values], 1)
        })
    }
}

impl HeadNorm for Flex {
    fn norm_heads(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self> {
        let [mut qkv, query_weight, key_weight] = [qkv, query_weight, key_weight].map(contiguous);
        let (shape, kv_heads) = (qkv.shape(), kv_heads(&qkv.shape(), heads));
        let weights: [&[f32]; 2] = [query_weight.storage(), key_weight.storage()];
        for token in qkv.storage_mut::<f32>().chunks_exact_mut((shape[1] * shape[2]).max(1)) {
            for (i, head) in token.chunks_exact_mut(shape[2]).take(heads + kv_heads).enumerate() {
                let inverse = 1.0 / (dot(head, head) / head.len() as f32 + eps).sqrt();
                let weight = weights[usize::from(i >= heads)];
                head.iter_mut().zip(weight).for_each(|(value, weight)| *value *= inverse * weight);
            }
        }
        qkv
    }

    fn norm_heads_backward(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self> {
        let [qkv, query_weight, key_weight, mut grad] = [qkv, query_weight, key_weight, grad].map(contiguous);
        let (shape, kv_heads) = (qkv.shape(), kv_heads(&qkv.shape(), heads));
        let weights: [&[f32]; 2] = [query_weight.storage(), key_weight.storage()];
        let width = (shape[1] * shape[2]).max(1);
        let tokens = qkv.storage::<f32>().chunks_exact(width);
        for (grad, token) in grad.storage_mut::<f32>().chunks_exact_mut(width).zip(tokens) {
            let rows = grad.chunks_exact_mut(shape[2]).zip(token.chunks_exact(shape[2]));
            for (i, (grad, row)) in rows.take(heads + kv_heads).enumerate() {
                let weight = weights[usize::from(i >= heads)];
                grad.iter_mut().zip(weight).for_each(|(grad, weight)| *grad *= weight);
                let mean_square = dot(row, row) / row.len() as f32 + eps;
                let inverse = 1.0 / mean_square.sqrt();
                let back = dot(grad, row) / (row.len() as f32 * mean_square);
                grad.iter_mut().zip(row).for_each(|(grad, value)| *grad = (*grad - value * back) * inverse);
            }
        }
        grad
    }
}

impl<B: HeadNorm, C: CheckpointStrategy> HeadNorm for Autodiff<B, C> {
    fn norm_heads(
        qkv: FloatTensor<Self>,
        query_weight: FloatTensor<Self>,
        key_weight: FloatTensor<Self>,
        heads: usize,
        eps: f32,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Normed;

        #[derive(Debug, Clone)]
        struct State<B: Backend> {
            qkv: FloatTensor<B>,
            weights: [FloatTensor<B>; 2],
            heads: usize,
            eps: f32,
        }

        impl<B: HeadNorm> Backward<B, 3> for Normed {
            type State = State<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let State { qkv, weights, heads, eps } = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [for_qkv, for_weights @ ..] = ops.parents;
                let kv_heads = kv_heads(&qkv.shape(), heads);
                let parts = [0..heads, heads..heads + kv_heads];
                for (parent, heads) in for_weights.into_iter().zip(parts) {
                    let Some(parent) = parent else { continue };
                    let x = part::<B>(&qkv, heads.clone());
                    let normal = B::float_mul(x.clone(), inverse_rms::<B>(x, eps));
                    let own = B::float_mul(part::<B>(&grad, heads), normal);
                    grads.register::<B>(parent.id, B::float_sum_dim(B::float_sum_dim(own, 0), 1));
                }
                if let Some(parent) = for_qkv {
                    let [query_weight, key_weight] = weights;
                    let grad = B::norm_heads_backward(qkv, query_weight, key_weight, grad, heads, eps);
                    grads.register::<B>(parent.id, grad);
                }
            }
        }

        let nodes = [qkv.node(), query_weight.node(), key_weight.node()];
        let [qkv, query_weight, key_weight] =
            [qkv, query_weight, key_weight].map(|tensor| tensor.into_primitive());
        match Normed.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let weights = [query_weight.clone(), key_weight.clone()];
                let output = B::norm_heads(qkv.clone(), query_weight, key_weight, heads, eps);
                prepared.finish(State { qkv, weights, heads, eps }, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::norm_heads(qkv, query_weight, key_weight, heads, eps))
            }
        }
    }

    fn norm_heads_backward(
        _qkv: FloatTensor<Self>,
        _query_weight: FloatTensor<Self>,
        _key_weight: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
        _heads: usize,
        _eps: f32,
    ) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are never taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let (heads, kv_heads, head_dim) = (3, 2, 6);
        let shape = [5, heads + 2 * kv_heads, head_dim];
        let (qkv, target) = (random(shape, 1, &device), random(shape, 2, &device));
        let weights = [random([head_dim], 3, &device), random([head_dim], 4, &device)];
        let run = |ours: bool| {
            let leaf = qkv.clone().autodiff().require_grad();
            let [q, k] = weights.clone().map(|weight| weight.autodiff().require_grad());
            let normed = |first, count, weight: &Tensor<1>| {
                let x = leaf.clone().narrow(1, first, count);
                x.clone() * (x.square().mean_dim(2) + 1e-5).sqrt().recip() * weight.clone().unsqueeze()
            };
            let y = match ours {
                true => norm_heads(leaf.clone(), q.clone(), k.clone(), heads, 1e-5),
                false => {
                    let values = leaf.clone().narrow(1, heads + kv_heads, kv_heads);
                    Tensor::cat(vec![normed(0, heads, &q), normed(heads, kv_heads, &k), values], 1)
                }
            };
            let gradients = (y.clone() * target.clone()).sum().backward();
            let of_weight = |weight: Tensor<1>| weight.grad(&gradients).unwrap().unsqueeze::<3>();
            [y.inner(), leaf.grad(&gradients).unwrap(), of_weight(q), of_weight(k)]
        };
        for (ours, stock) in run(true).into_iter().zip(run(false)) {
            close(ours, stock, 1e-5);
        }
    }
}
