//! Softmax over the last dimension, one operation forward and one backward.

use super::contiguous;
use super::exp::exp_slice;
use super::sums::{dot, largest, sum};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::ops::ActivationOps;
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};

/// # Shapes
/// - x: `[..., n]`
/// - output: the same; each row sums to 1
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Softmax>::softmax_rows(x.into_dispatch()))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Softmax: Backend {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// From the output y and its gradient g: y·(g − Σ g·y).
    fn softmax_rows_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Softmax for burn::backend::Wgpu {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        super::gpu::softmax::rows(&x).unwrap_or_else(|| {
            let last = x.shape().num_dims() - 1;
            <Self as ActivationOps<Self>>::softmax(x, last)
        })
    }

    fn softmax_rows_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        super::gpu::softmax::rows_backward(&y, &grad).unwrap_or_else(|| {
            let last = y.shape().num_dims() - 1;
            let sums = Self::float_sum_dim(Self::float_mul(grad.clone(), y.clone()), last);
            Self::float_mul(y, Self::float_sub(grad, sums))
        })
    }
}

impl Softmax for Flex {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = x.shape();
        let last = shape[shape.num_dims() - 1];
        if x.dtype() != DType::F32 || last == 0 {
            return <Self as ActivationOps<Self>>::softmax(x, shape.num_dims() - 1);
        }
        let mut x = contiguous(x);
        for row in x.storage_mut::<f32>().chunks_exact_mut(last) {
            softmax_row(row);
        }
        x
    }

    fn softmax_rows_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = y.shape();
        let last = shape[shape.num_dims() - 1].max(1);
        let (mut grad, y) = (contiguous(grad), contiguous(y));
        let (grads, values) = (grad.storage_mut::<f32>(), y.storage::<f32>());
        for (grads, values) in grads.chunks_exact_mut(last).zip(values.chunks_exact(last)) {
            softmax_row_backward(values, grads);
        }
        grad
    }
}

/// Softmax in place.
pub(super) fn softmax_row(row: &mut [f32]) {
    let top = largest(row);
    row.iter_mut().for_each(|value| *value -= top);
    exp_slice(row);
    let inverse = 1.0 / sum(row);
    row.iter_mut().for_each(|value| *value *= inverse);
}

/// From the output and its gradient, in place, the gradient for the input.
pub(super) fn softmax_row_backward(values: &[f32], grads: &mut [f32]) {
    let sum = dot(grads, values);
    grads.iter_mut().zip(values).for_each(|(grad, value)| *grad = value * (*grad - sum));
}

impl<B: Softmax, C: CheckpointStrategy> Softmax for Autodiff<B, C> {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Rows;

        impl<B: Softmax> Backward<B, 1> for Rows {
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |grad| B::softmax_rows_backward(ops.state, grad));
            }
        }

        let node = x.node();
        let output = B::softmax_rows(x.into_primitive());
        match Rows.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(output.clone(), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn softmax_rows_backward(_y: FloatTensor<Self>, _grad: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are never taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::{Device, activation};

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let x = random([2, 3, 5, 7], 4, &device) * 8.0;
        let weights = random([2, 3, 7, 5], 5, &device);
        let run = |softmax: fn(Tensor<4>) -> Tensor<4>| {
            let x = x.clone().autodiff().require_grad();
            // Transposed on both sides: neither input nor gradient lies in order.
            let y = softmax(x.clone()).transpose();
            let gradients = (y.clone() * weights.clone()).sum().backward();
            let of_turned = softmax(x.clone().transpose());
            [y.inner(), x.grad(&gradients).unwrap().transpose(), of_turned.inner()]
        };
        let stock = run(|x| activation::softmax(x, 3));
        for (ours, stock) in run(softmax).into_iter().zip(stock) {
            close(ours, stock, 1e-6);
        }
    }

    #[test]
    fn parts_of_a_tensor_are_taken_alone() {
        let device = Device::flex();
        let whole = random([6, 10], 4, &device) * 8.0;
        let run = |softmax: fn(Tensor<2>) -> Tensor<2>| {
            let x = whole.clone().autodiff().require_grad();
            // A part from the middle on the way there, and its gradient from the middle on the way back.
            let y = softmax(x.clone().reshape([12, 5]).narrow(0, 3, 7));
            let gradients = (y.clone().narrow(0, 1, 5) * y.clone().narrow(0, 2, 5)).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap(), whole.clone()]
        };
        let stock = run(|x| activation::softmax(x, 1));
        for (ours, stock) in run(softmax).into_iter().zip(stock) {
            close(ours, stock, 1e-6);
        }
        let row = softmax(whole.clone().narrow(1, 3, 5).narrow(0, 2, 1));
        close(row, activation::softmax(whole.narrow(1, 3, 5).narrow(0, 2, 1), 1), 1e-6);
    }

    #[test]
    fn blocked_scores_get_nothing() {
        let device = Device::flex();
        let y = softmax(Tensor::<2>::from_floats([[1.0, -1e9, 1.0, -1e9, -1e9]], &device));
        close(y, Tensor::from_floats([[0.5, 0.0, 0.5, 0.0, 0.0]], &device), 0.0);
    }
}
