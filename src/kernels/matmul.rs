//! Matrix products. In the browser the CPU's go through our own [`gemm`](super::gemm).

use super::gemm::{Matrix, gemm};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};

/// `lhs·rhs`, differentiable in both.
///
/// # Shapes
/// - lhs: `[..., m, k]`
/// - rhs: `[..., k, n]`, with the same leading dimensions
/// - output: `[..., m, n]`
pub fn matmul<const D: usize>(lhs: Tensor<D>, rhs: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Matmul>::product(lhs.into_dispatch(), rhs.into_dispatch()))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Matmul: Backend {
    fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Matmul for burn::backend::Wgpu {
    fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self> {
        super::gpu::matmul::product(&lhs, &rhs)
    }
}

impl Matmul for Flex {
    fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self> {
        if suits_gemm(&lhs) { batched(&lhs, &rhs) } else { Self::float_matmul(lhs, rhs) }
    }
}

/// Rows from which on the left factor of a product is packed. Fewer, as in generation, are bound by memory, and packing would
/// only add to that.
pub(super) const FEW: usize = 4;

/// Elsewhere burn's kernels use wider registers than ours; in the browser they spill theirs.
pub(super) fn suits_gemm(lhs: &FloatTensor<Flex>) -> bool {
    let shape = lhs.shape();
    cfg!(target_arch = "wasm32") && shape[shape.num_dims() - 2] >= FEW && lhs.dtype() == DType::F32
}

impl<B: Matmul, C: CheckpointStrategy> Matmul for Autodiff<B, C> {
    fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Product;

        impl<B: Matmul> Backward<B, 2> for Product {
            /// The other factor of each gradient, where it is wanted.
            type State = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (lhs, rhs) = ops.state;
                let kept = "the factor of a wanted gradient is kept";
                binary::<B, _, _>(
                    ops.parents,
                    ops.node,
                    grads,
                    |grad| B::product(grad, B::float_transpose(rhs.expect(kept))),
                    |grad| B::product(B::float_transpose(lhs.expect(kept)), grad),
                );
            }
        }

        let state = (
            rhs.is_tracked().then(|| lhs.primitive().clone()),
            lhs.is_tracked().then(|| rhs.primitive().clone()),
        );
        let nodes = [lhs.node(), rhs.node()];
        let output = B::product(lhs.into_primitive(), rhs.into_primitive());
        match Product.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

fn batched(lhs: &FloatTensor<Flex>, rhs: &FloatTensor<Flex>) -> FloatTensor<Flex> {
    let mut shape = lhs.layout().shape().to_vec();
    let rank = shape.len();
    shape[rank - 1] = rhs.layout().shape()[rank - 1];
    let (m, n) = (shape[rank - 2], shape[rank - 1]);
    let mut output = vec![0.0; shape.iter().product()];
    for (i, values) in output.chunks_exact_mut((m * n).max(1)).enumerate() {
        gemm(&nth(lhs, i), &nth(rhs, i), values);
    }
    Flex::float_from_data(TensorData::new(output, shape), &Default::default())
}

/// The `i`-th matrix of a batch.
pub(super) fn nth(tensor: &FloatTensor<Flex>, mut i: usize) -> Matrix<'_> {
    let (shape, strides) = (tensor.layout().shape(), tensor.layout().strides());
    // Negative strides come from flips, and nothing here flips.
    let stride = |dim: usize| usize::try_from(strides[dim]).expect("a tensor that was not flipped");
    let rank = strides.len();
    let mut offset = tensor.layout().start_offset();
    for dim in (0..rank - 2).rev() {
        offset += i % shape[dim] * stride(dim);
        i /= shape[dim];
    }
    Matrix {
        data: tensor.storage(),
        offset,
        rows: shape[rank - 2],
        columns: shape[rank - 1],
        row_stride: stride(rank - 2),
        column_stride: stride(rank - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn product_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let (a, b) = (random([2, 3, 5, 7], 1, &device), random([2, 3, 9, 7], 2, &device));
        let run = |product: fn(Tensor<4>, Tensor<4>) -> Tensor<4>| {
            let (a, b) = (a.clone().autodiff().require_grad(), b.clone().autodiff().require_grad());
            let y = product(a.clone(), b.clone().transpose());
            let gradients = (y.clone() * y.clone()).sum().backward();
            [y.inner(), a.grad(&gradients).unwrap(), b.grad(&gradients).unwrap()]
        };
        for (ours, stock) in run(matmul).into_iter().zip(run(Tensor::matmul)) {
            close(ours, stock, 1e-5);
        }
    }

    #[test]
    fn strided_batches_are_read_in_place() {
        let device = Device::flex();
        let (a, b) = (random([3, 2, 6, 5], 1, &device), random([2, 3, 5, 11], 2, &device));
        let (a, b) = (a.swap_dims(0, 1), b);
        let stock = a.clone().matmul(b.clone());
        let primitive = |tensor: Tensor<4>| Flex::float_from_data(tensor.to_data(), &Default::default());
        // The data of `a` as it lies in memory, seen through the swapped layout.
        let a = Flex::float_swap_dims(primitive(a.swap_dims(0, 1)), 0, 1);
        let ours = batched(&a, &primitive(b)).into_data();
        close(Tensor::<4>::from_data(ours, &device), stock, 1e-5);
    }
}
