//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>), one operation each way.

use super::contiguous;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::tensor::Slice;
use burn::tensor::Tensor;

/// Turns channel `i` of queries and keys with channel `i + rotary_dim / 2`, for the first `rotary_dim` channels of each head, and
/// scales all channels of the queries; values stay.
///
/// # Shapes
/// - qkv, output: `[tokens, heads + 2 * kv_heads, head_dim]`
/// - cos, sin: `[tokens, rotary_dim / 2]`, constants
pub fn rotate(
    qkv: Tensor<3>,
    cos: Tensor<2>,
    sin: Tensor<2>,
    heads: usize,
    kv_heads: usize,
    scale: f64,
) -> Tensor<3> {
    let (cos, sin) = (cos.unsqueeze_dim::<3>(1).into_dispatch(), sin.unsqueeze_dim::<3>(1).into_dispatch());
    let turn = Turn { heads, kv_heads, scale: scale as f32, direction: 1.0 };
    Tensor::from_dispatch(<Dispatch as Rotary>::rotate(qkv.into_dispatch(), cos, sin, turn))
}

/// Which heads are turned, and how.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Query heads: turned and scaled.
    pub heads: usize,
    /// Key heads, which follow: turned.
    pub kv_heads: usize,
    pub scale: f32,
    /// 1, or -1 to turn back.
    pub direction: f32,
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Rotary: Backend {
    /// cos and sin are `[tokens, 1, rotary_dim / 2]`.
    fn rotate(
        qkv: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Rotary for burn::backend::Wgpu {
    fn rotate(
        qkv: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        super::gpu::rotary::rotate(&qkv, &cos, &sin, turn)
            .unwrap_or_else(|| stock::<Self>(qkv, cos, sin, turn))
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn stock<B: Backend>(
    qkv: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    turn: Turn,
) -> FloatTensor<B> {
    let (half, head_dim) = (cos.shape()[2], qkv.shape()[2]);
    let part = |heads: std::ops::Range<usize>, from: usize, to: usize| {
        B::float_slice(qkv.clone(), &[Slice::from(..), Slice::from(heads), Slice::from(from..to)])
    };
    let turned = |heads: std::ops::Range<usize>, scale: f32| {
        let (first, second) = (part(heads.clone(), 0, half), part(heads.clone(), half, 2 * half));
        let cos = B::float_mul_scalar(cos.clone(), scale.into());
        let sin = B::float_mul_scalar(sin.clone(), (scale * turn.direction).into());
        let turned_first =
            B::float_sub(B::float_mul(first.clone(), cos.clone()), B::float_mul(second.clone(), sin.clone()));
        let turned_second = B::float_add(B::float_mul(second, cos), B::float_mul(first, sin));
        let mut parts = vec![turned_first, turned_second];
        if 2 * half < head_dim {
            parts.push(B::float_mul_scalar(part(heads, 2 * half, head_dim), scale.into()));
        }
        B::float_cat(parts, 2)
    };
    let keys = turn.heads..turn.heads + turn.kv_heads;
    let values = part(keys.end..qkv.shape()[1], 0, head_dim);
    B::float_cat(vec![turned(0..turn.heads, turn.scale), turned(keys, 1.0), values], 1)
}

impl Rotary for Flex {
    fn rotate(
        qkv: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        let [mut qkv, cos, sin] = [qkv, cos, sin].map(contiguous);
        let (all_heads, head_dim, half) = (qkv.shape()[1], qkv.shape()[2], cos.shape()[2]);
        let (cos, sin) = (cos.storage::<f32>().chunks_exact(half), sin.storage::<f32>().chunks_exact(half));
        // In place where nobody else holds the tensor.
        let tokens = qkv.storage_mut::<f32>().chunks_exact_mut(all_heads * head_dim);
        for ((token, cos), sin) in tokens.zip(cos).zip(sin) {
            let turned = token.chunks_exact_mut(head_dim).take(turn.heads + turn.kv_heads);
            for (i, head) in turned.enumerate() {
                let scale = if i < turn.heads { turn.scale } else { 1.0 };
                let sine = scale * turn.direction;
                let (head, rest) = head.split_at_mut(2 * half);
                rest.iter_mut().for_each(|value| *value *= scale);
                let (first, second) = head.split_at_mut(half);
                for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                    (*a, *b) = (*a * cos * scale - *b * sin * sine, *b * cos * scale + *a * sin * sine);
                }
            }
        }
        qkv
    }
}

impl<B: Rotary, C: CheckpointStrategy> Rotary for Autodiff<B, C> {
    fn rotate(
        qkv: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Turned;

        impl<B: Rotary> Backward<B, 1> for Turned {
            type State = (FloatTensor<B>, FloatTensor<B>, Turn);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (cos, sin, turn) = ops.state;
                let back = Turn { direction: -turn.direction, ..turn };
                unary::<B, _>(ops.parents, ops.node, grads, |grad| B::rotate(grad, cos, sin, back));
            }
        }

        let node = qkv.node();
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let output = B::rotate(qkv.into_primitive(), cos.clone(), sin.clone(), turn);
        match Turned.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((cos, sin, turn), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
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
        let (heads, kv_heads) = (3, 2);
        let qkv = random([12, heads + 2 * kv_heads, 6], 1, &device);
        let target = random([10, heads + 2 * kv_heads, 6], 4, &device);
        let angles = |half: usize| [random([10, half], 2, &device), random([10, half], 3, &device)];
        let stock = |qkv: Tensor<3>, half: usize| {
            let turned = |first_head: usize, count: usize| {
                let x = qkv.clone().narrow(1, first_head, count);
                let (first, second) = (x.clone().narrow(2, 0, half), x.clone().narrow(2, half, half));
                let [cos, sin] = angles(half).map(|angle| angle.unsqueeze_dim::<3>(1));
                let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
                let mut parts = vec![turned_first, second * cos + first * sin];
                if half < 3 {
                    parts.push(x.narrow(2, 2 * half, 6 - 2 * half));
                }
                Tensor::cat(parts, 2)
            };
            let values = qkv.clone().narrow(1, heads + kv_heads, kv_heads);
            Tensor::cat(vec![turned(0, heads) * 0.7, turned(heads, kv_heads), values], 1)
        };
        let run = |ours: bool, half: usize| {
            let leaf = qkv.clone().autodiff().require_grad();
            // A part, whose values others hold.
            let part = leaf.clone().narrow(0, 1, 10);
            let y = match ours {
                true => {
                    let [cos, sin] = angles(half);
                    rotate(part, cos, sin, heads, kv_heads, 0.7)
                }
                false => stock(part, half),
            };
            let gradients = (y.clone() * target.clone()).sum().backward();
            [y.inner(), leaf.clone().inner(), leaf.grad(&gradients).unwrap()]
        };
        // Whole heads, and parts of them.
        for half in [3, 2, 1] {
            for (ours, stock) in run(true, half).into_iter().zip(run(false, half)) {
                close(ours, stock, 1e-6);
            }
        }
    }
}
