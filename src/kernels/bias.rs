//! Biases of layers that are computed side by side, added in one operation.

use super::contiguous;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Slice, Tensor};

/// Adds each layer's bias to its columns; differentiable in both.
///
/// # Shapes
/// - x, output: `[tokens, Σ out]`
/// - biases: `[out]` each, one to three
pub fn add_biases(x: Tensor<2>, biases: &[Tensor<1>]) -> Tensor<2> {
    assert!((1..=3).contains(&biases.len()), "one to three layers share an input");
    let rows: Vec<Tensor<2>> = biases.iter().map(|bias| bias.clone().unsqueeze()).collect();
    // What is not there crosses to the device as the first, which is there anyway.
    let [b0, b1, b2] = [0, 1, 2].map(|i| rows.get(i).unwrap_or(&rows[0]).clone().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Bias>::add_biases(x.into_dispatch(), b0, b1, b2, biases.len()))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Bias: Backend {
    /// The first `count` biases, `[1, out]` each.
    fn add_biases(
        x: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self>;
}

/// The first and the last column of each layer, and its place.
fn columns<B: Backend>(biases: &[FloatTensor<B>]) -> impl Iterator<Item = (usize, usize)> {
    let mut end = 0;
    biases.iter().map(|bias| bias.shape()[1]).collect::<Vec<_>>().into_iter().map(move |width| {
        end += width;
        (end - width, end)
    })
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Bias for burn::backend::Wgpu {
    fn add_biases(
        x: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self> {
        use burn::backend::ops::FloatTensorOps;
        let biases = [b0, b1, b2];
        super::gpu::bias::add_biases(&x, &biases[..count]).unwrap_or_else(|| {
            let all = Self::float_cat(biases.into_iter().take(count).collect(), 1);
            Self::float_add(x, all)
        })
    }
}

impl Bias for Flex {
    fn add_biases(
        x: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self> {
        let [mut x, b0, b1, b2] = [x, b0, b1, b2].map(contiguous);
        let biases: Vec<&[f32]> = [&b0, &b1, &b2][..count].iter().map(|bias| bias.storage::<f32>()).collect();
        let width = biases.iter().map(|bias| bias.len()).sum::<usize>().max(1);
        for row in x.storage_mut::<f32>().chunks_exact_mut(width) {
            let bias = biases.iter().copied().flatten();
            row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
        x
    }
}

impl<B: Bias, C: CheckpointStrategy> Bias for Autodiff<B, C> {
    fn add_biases(
        x: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Added;

        impl<B: Bias> Backward<B, 4> for Added {
            /// First and last column of each layer.
            type State = Vec<(usize, usize)>;

            fn backward(
                self,
                ops: Ops<Self::State, 4>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let grad = grads.consume::<B>(&ops.node);
                let [for_x, for_biases @ ..] = ops.parents;
                for (parent, (start, end)) in for_biases.into_iter().zip(ops.state) {
                    if let Some(parent) = parent {
                        let own = B::float_slice(grad.clone(), &[Slice::from(..), Slice::from(start..end)]);
                        grads.register::<B>(parent.id, B::float_sum_dim(own, 0));
                    }
                }
                if let Some(parent) = for_x {
                    grads.register::<B>(parent.id, grad);
                }
            }
        }

        let nodes = [x.node(), b0.node(), b1.node(), b2.node()];
        let x = x.into_primitive();
        let biases = [b0, b1, b2].map(|bias| bias.into_primitive());
        let state = columns::<B>(&biases[..count]).collect();
        let [b0, b1, b2] = biases;
        let output = B::add_biases(x, b0, b1, b2, count);
        match Added.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
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
        let (x, target) = (random([5, 12], 1, &device), random([5, 12], 9, &device));
        let run = |ours: bool, widths: &[usize]| {
            let x = x.clone().autodiff().require_grad();
            let bias = |&width: &usize| random([width], width as u64, &device).autodiff().require_grad();
            let biases: Vec<Tensor<1>> = widths.iter().map(bias).collect();
            let y = match ours {
                true => add_biases(x.clone(), &biases),
                false => x.clone() + Tensor::cat(biases.clone(), 0).unsqueeze(),
            };
            let gradients = (y.clone() * target.clone()).sum().backward();
            let of_biases = biases.iter().map(|bias| bias.grad(&gradients).unwrap().unsqueeze::<2>());
            [y.inner(), x.grad(&gradients).unwrap()].into_iter().chain(of_biases).collect::<Vec<_>>()
        };
        for widths in [&[4, 6, 2][..], &[7, 5], &[12]] {
            for (ours, stock) in run(true, widths).into_iter().zip(run(false, widths)) {
                close(ours, stock, 1e-6);
            }
        }
    }
}
