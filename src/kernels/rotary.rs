//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>), one operation each way.

use super::in_order;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::tensor::Slice;
use burn::tensor::Tensor;

/// Turns channel `i` with channel `i + head_dim / 2` and scales the result.
///
/// # Shapes
/// - x, output: `[tokens, heads, head_dim]`
/// - cos, sin: `[tokens, head_dim / 2]`, constants
pub fn rotate(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>, scale: f64) -> Tensor<3> {
    let (cos, sin) = (cos.unsqueeze_dim::<3>(1).into_dispatch(), sin.unsqueeze_dim::<3>(1).into_dispatch());
    Tensor::from_dispatch(<Dispatch as Rotary>::rotate(x.into_dispatch(), cos, sin, scale as f32, 1.0))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Rotary: Backend {
    /// `direction` is 1, or -1 to turn back; cos and sin are `[tokens, 1, head_dim / 2]`.
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
        direction: f32,
    ) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Rotary for burn::backend::Wgpu {
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
        direction: f32,
    ) -> FloatTensor<Self> {
        super::gpu::rotary::rotate(&x, &cos, &sin, scale, direction)
            .unwrap_or_else(|| stock::<Self>(x, cos, sin, scale, direction))
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn stock<B: Backend>(
    x: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    scale: f32,
    direction: f32,
) -> FloatTensor<B> {
    let half = x.shape()[2] / 2;
    let part = |from: usize| {
        let all = || Slice::from(..);
        B::float_slice(x.clone(), &[all(), all(), Slice::from(from..from + half)])
    };
    let (first, second) = (part(0), part(half));
    let cos = B::float_mul_scalar(cos, scale.into());
    let sin = B::float_mul_scalar(sin, (scale * direction).into());
    let turned_first =
        B::float_sub(B::float_mul(first.clone(), cos.clone()), B::float_mul(second.clone(), sin.clone()));
    let turned_second = B::float_add(B::float_mul(second, cos), B::float_mul(first, sin));
    B::float_cat(vec![turned_first, turned_second], 2)
}

impl Rotary for Flex {
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
        direction: f32,
    ) -> FloatTensor<Self> {
        let [mut x, cos, sin] = [x, cos, sin].map(in_order);
        let (heads, half) = (x.shape()[1], x.shape()[2] / 2);
        let sine = scale * direction;
        let (cos, sin) = (cos.storage::<f32>().chunks_exact(half), sin.storage::<f32>().chunks_exact(half));
        // In place where nobody else holds the tensor.
        let tokens = x.storage_mut::<f32>().chunks_exact_mut(heads * half * 2);
        for ((token, cos), sin) in tokens.zip(cos).zip(sin) {
            for head in token.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                    (*a, *b) = (*a * cos * scale - *b * sin * sine, *b * cos * scale + *a * sin * sine);
                }
            }
        }
        x
    }
}

impl<B: Rotary, C: CheckpointStrategy> Rotary for Autodiff<B, C> {
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
        direction: f32,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Turned;

        impl<B: Rotary> Backward<B, 1> for Turned {
            type State = (FloatTensor<B>, FloatTensor<B>, f32, f32);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (cos, sin, scale, direction) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::rotate(grad, cos, sin, scale, -direction)
                });
            }
        }

        let node = x.node();
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let output = B::rotate(x.into_primitive(), cos.clone(), sin.clone(), scale, direction);
        match Turned.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((cos, sin, scale, direction), output),
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
        let x = random([12, 3, 6], 1, &device);
        let (cos, sin) = (random([10, 3], 2, &device), random([10, 3], 3, &device));
        let target = random([10, 3, 6], 4, &device);
        let stock = |x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>, scale: f64| {
            let (first, second) = (x.clone().narrow(2, 0, 3), x.narrow(2, 3, 3));
            let (cos, sin) = (cos.unsqueeze_dim::<3>(1), sin.unsqueeze_dim::<3>(1));
            let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
            Tensor::cat(vec![turned_first, second * cos + first * sin], 2) * scale
        };
        let run = |rotate: fn(Tensor<3>, Tensor<2>, Tensor<2>, f64) -> Tensor<3>| {
            let x = x.clone().autodiff().require_grad();
            // A part, whose values others hold.
            let y = rotate(x.clone().narrow(0, 1, 10), cos.clone(), sin.clone(), 0.7);
            let gradients = (y.clone() * target.clone()).sum().backward();
            [y.inner(), x.clone().inner(), x.grad(&gradients).unwrap()]
        };
        for (ours, stock) in run(rotate).into_iter().zip(run(stock)) {
            close(ours, stock, 1e-6);
        }
    }
}
