//! Rows of a matrix at other places. The gradient is gathered too: a scattered one would be summed up row after row on a GPU.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Int, Tensor};

/// The rows that `sources` names. The gradient of row `i` is that of the output's row `targets[i]`, so each row whose gradient
/// matters must be in the output once, at that place.
///
/// # Shapes
/// - x: `[rows, columns]`
/// - sources: `[rows of the output]`, each below `rows`
/// - targets: `[rows]`, each below the output's rows
/// - output: `[rows of the output, columns]`
pub fn move_rows(x: Tensor<2>, sources: Tensor<1, Int>, targets: Tensor<1, Int>) -> Tensor<2> {
    let (x, sources, targets) = (x.into_dispatch(), sources.into_dispatch(), targets.into_dispatch());
    Tensor::from_dispatch(<Dispatch as MoveRows>::move_rows(x, sources, targets))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait MoveRows: Backend {
    fn move_rows(
        x: FloatTensor<Self>,
        sources: IntTensor<Self>,
        _targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::float_select(x, 0, sources)
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl MoveRows for burn::backend::Wgpu {}

impl MoveRows for Flex {}

impl<B: MoveRows, C: CheckpointStrategy> MoveRows for Autodiff<B, C> {
    fn move_rows(
        x: FloatTensor<Self>,
        sources: IntTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Moved;

        impl<B: MoveRows> Backward<B, 1> for Moved {
            /// The targets.
            type State = IntTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let targets = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |grad| B::float_select(grad, 0, targets));
            }
        }

        let node = x.node();
        let moved = B::move_rows(x.into_primitive(), sources, targets.clone());
        match Moved.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(targets, moved),
            OpsKind::UnTracked(prepared) => prepared.finish(moved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn values_and_gradients_are_those_of_select() {
        let device = Device::flex();
        let (x, weights) = (random([4, 3], 1, &device), random([6, 3], 2, &device));
        // The rows 4 and 5 of the output are read by nothing; the last row of x is in one of them.
        let (sources, targets) = ([2, 0, 1, 0, 3, 0], [1, 2, 0, 4]);
        let zeros = Tensor::<2>::zeros([3, 3], &device);
        let weights = Tensor::cat(vec![weights.narrow(0, 0, 3), zeros], 0);
        let run = |ours: bool| {
            let x = x.clone().autodiff().require_grad();
            let sources = Tensor::<1, Int>::from_ints(sources, &device);
            let y = match ours {
                true => move_rows(x.clone(), sources, Tensor::from_ints(targets, &device)),
                false => x.clone().select(0, sources),
            };
            let gradients = (y.clone() * weights.clone()).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap()]
        };
        for (ours, plain) in run(true).into_iter().zip(run(false)) {
            close(ours, plain, 0.0);
        }
    }
}
