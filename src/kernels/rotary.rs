//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>), one operation each way.

use super::in_order;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::tensor::Slice;
use burn::tensor::{Tensor, TensorData};

/// Turns channel `i` with channel `i + head_dim / 2` and scales the result.
///
/// # Shapes
/// - x, output: `[batch, heads, seq, head_dim]`
/// - cos, sin: `[batch, 1, seq, head_dim / 2]`, constants
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, scale: f64) -> Tensor<4> {
    let (cos, sin) = (cos.into_dispatch(), sin.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Rotary>::rotate(x.into_dispatch(), cos, sin, scale as f32, 1.0))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Rotary: Backend {
    /// `direction` is 1, or -1 to turn back.
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
    let half = x.shape()[3] / 2;
    let part = |from: usize| {
        let all = || Slice::from(..);
        B::float_slice(x.clone(), &[all(), all(), all(), Slice::from(from..from + half)])
    };
    let (first, second) = (part(0), part(half));
    let cos = B::float_mul_scalar(cos, scale.into());
    let sin = B::float_mul_scalar(sin, (scale * direction).into());
    let turned_first =
        B::float_sub(B::float_mul(first.clone(), cos.clone()), B::float_mul(second.clone(), sin.clone()));
    let turned_second = B::float_add(B::float_mul(second, cos), B::float_mul(first, sin));
    B::float_cat(vec![turned_first, turned_second], 3)
}

impl Rotary for Flex {
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
        direction: f32,
    ) -> FloatTensor<Self> {
        let x = if x.layout().strides()[3] == 1 { x } else { in_order(x) };
        let (cos, sin) = (in_order(cos), in_order(sin));
        let (cos, sin) = (cos.storage::<f32>(), sin.storage::<f32>());
        let shape = x.shape();
        let (batch, heads, seq, half) = (shape[0], shape[1], shape[2], shape[3] / 2);
        let (values, strides) = (x.storage::<f32>(), x.layout().strides());
        let mut output = Vec::with_capacity(shape.num_elements());
        for (b, h, s) in rows(batch, heads, seq) {
            let from = x.layout().start_offset() as isize
                + b as isize * strides[0]
                + h as isize * strides[1]
                + s as isize * strides[2];
            let (first, second) = values[from as usize..][..2 * half].split_at(half);
            let angle = (b * seq + s) * half..(b * seq + s + 1) * half;
            let (cos, sin) = (&cos[angle.clone()], &sin[angle]);
            let sine = scale * direction;
            output.extend((0..half).map(|i| first[i] * cos[i] * scale - second[i] * sin[i] * sine));
            output.extend((0..half).map(|i| second[i] * cos[i] * scale + first[i] * sin[i] * sine));
        }
        Flex::float_from_data(TensorData::new(output, shape), &Default::default())
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

/// Every row of `[batch, heads, seq]`, in order.
fn rows(batch: usize, heads: usize, seq: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..batch).flat_map(move |b| (0..heads).flat_map(move |h| (0..seq).map(move |s| (b, h, s))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let x = random([2, 5, 3, 6], 1, &device);
        let (cos, sin) = (random([2, 1, 5, 3], 2, &device), random([2, 1, 5, 3], 3, &device));
        let target = random([2, 3, 5, 6], 4, &device);
        let stock = |x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, scale: f64| {
            let (first, second) = (x.clone().narrow(3, 0, 3), x.narrow(3, 3, 3));
            let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
            Tensor::cat(vec![turned_first, second * cos + first * sin], 3) * scale
        };
        let run = |rotate: fn(Tensor<4>, Tensor<4>, Tensor<4>, f64) -> Tensor<4>| {
            let x = x.clone().autodiff().require_grad();
            let y = rotate(x.clone().swap_dims(1, 2), cos.clone(), sin.clone(), 0.7);
            let gradients = (y.clone() * target.clone()).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap()]
        };
        for (ours, stock) in run(rotate).into_iter().zip(run(stock)) {
            close(ours, stock, 1e-6);
        }
    }
}
