//! A place to begin a backward pass from.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

/// A number whose `backward()` begins with this gradient for `x`. It is not to be read: nothing is computed for it.
///
/// # Shapes
/// - x, gradient: the same
/// - output: `[1]`
pub fn seed<const D: usize>(x: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Seed>::seeded(x.into_dispatch(), gradient.into_dispatch()))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Seed: Backend {
    fn seeded(x: FloatTensor<Self>, _gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_empty([1].into(), &x.device(), x.dtype().into())
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Seed for burn::backend::Wgpu {}

impl Seed for Flex {}

impl<B: Seed, C: CheckpointStrategy> Seed for Autodiff<B, C> {
    fn seeded(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Seeded;

        impl<B: Seed> Backward<B, 1> for Seeded {
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                grads.consume::<B>(&ops.node);
                let [parent] = ops.parents;
                if let Some(parent) = parent {
                    grads.register::<B>(parent.id, ops.state);
                }
            }
        }

        let (node, gradient) = (x.node(), gradient.into_primitive());
        let output = B::seeded(x.into_primitive(), gradient.clone());
        match Seeded.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(gradient, output),
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
    fn a_backward_pass_begins_with_the_given_gradient() {
        let device = Device::flex();
        let (x, given) = (random([3, 5], 1, &device), random([3, 5], 2, &device));
        let leaf = x.clone().autodiff().require_grad();
        let gradients = seed(leaf.clone() * leaf.clone(), given.clone()).backward();
        close(leaf.grad(&gradients).unwrap(), x * given * 2.0, 1e-6);
    }
}
