//! SwiGLU's gate (<https://arxiv.org/abs/2002.05202>), one operation forward and one backward.

use super::in_order;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::backend::ops::{ActivationOps, FloatTensorOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use wide::f32x4;

/// `gate·σ(gate)·up`
///
/// # Shapes
/// - gate, up, output: `[tokens, ffn]`
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SwiGlu>::gated(gate.into_dispatch(), up.into_dispatch()))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait SwiGlu: Backend {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The gradients for gate and up.
    fn gated_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl SwiGlu for burn::backend::Wgpu {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        super::gpu::swiglu::gated(&gate, &up).unwrap_or_else(|| {
            let sigmoid = <Self as ActivationOps<Self>>::sigmoid(gate.clone());
            Self::float_mul(Self::float_mul(gate, sigmoid), up)
        })
    }

    fn gated_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        super::gpu::swiglu::gated_backward(&gate, &up, &grad).unwrap_or_else(|| {
            let sigmoid = <Self as ActivationOps<Self>>::sigmoid(gate.clone());
            let silu = Self::float_mul(gate, sigmoid.clone());
            // silu' = σ + silu·(1 − σ)
            let rest = Self::float_add_scalar(Self::float_neg(sigmoid.clone()), 1.0.into());
            let slope = Self::float_add(sigmoid, Self::float_mul(silu.clone(), rest));
            let for_gate = Self::float_mul(Self::float_mul(grad.clone(), up), slope);
            (for_gate, Self::float_mul(grad, silu))
        })
    }
}

impl SwiGlu for Flex {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        assert!(gate.dtype() == DType::F32 && up.dtype() == DType::F32, "activations are f32");
        let (mut gate, up) = (in_order(gate), in_order(up));
        for_each_four(gate.storage_mut(), up.storage(), |gate, up| gate * sigmoid(gate) * up);
        gate
    }

    fn gated_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (mut gate, mut up, grad) = (in_order(gate), in_order(up), in_order(grad));
        let mut for_up = gate.clone();
        let grads = grad.storage();
        for_each_four(for_up.storage_mut(), grads, |gate, grad| gate * sigmoid(gate) * grad);
        for_each_four(gate.storage_mut(), grads, |gate, grad| {
            let sigmoid = sigmoid(gate);
            grad * (sigmoid + gate * sigmoid * (f32x4::ONE - sigmoid))
        });
        let gates = gate.storage::<f32>();
        for_each_four(up.storage_mut(), gates, |up, slope| up * slope);
        (up, for_up)
    }
}

impl<B: SwiGlu, C: CheckpointStrategy> SwiGlu for Autodiff<B, C> {
    fn gated(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gated;

        impl<B: SwiGlu> Backward<B, 2> for Gated {
            type State = (FloatTensor<B>, FloatTensor<B>);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (gate, up) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let (for_gate, for_up) = B::gated_backward(gate, up, grad);
                for (parent, grad) in ops.parents.into_iter().zip([for_gate, for_up]) {
                    if let Some(parent) = parent {
                        grads.register::<B>(parent.id, grad);
                    }
                }
            }
        }

        let state = (gate.primitive().clone(), up.primitive().clone());
        match Gated.prepare::<C>([gate.node(), up.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::gated(state.0.clone(), state.1.clone());
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::gated(gate.into_primitive(), up.into_primitive()))
            }
        }
    }

    fn gated_backward(
        _gate: FloatTensor<Self>,
        _up: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("gradients of gradients are never taken")
    }
}

fn sigmoid(x: f32x4) -> f32x4 {
    f32x4::ONE / (f32x4::ONE + (-x).exp())
}

/// `value = f(value, other)` over both slices.
fn for_each_four(values: &mut [f32], others: &[f32], f: impl Fn(f32x4, f32x4) -> f32x4) {
    let count = values.len();
    let (fours, rest) = values.as_chunks_mut::<4>();
    let (other_fours, other_rest) = others[..count].as_chunks::<4>();
    for (four, other) in fours.iter_mut().zip(other_fours) {
        *four = f(f32x4::new(*four), f32x4::new(*other)).to_array();
    }
    for (value, other) in rest.iter_mut().zip(other_rest) {
        *value = f(f32x4::splat(*value), f32x4::splat(*other)).to_array()[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::{Device, activation::silu};

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let (gate, up) = (random([13, 7], 6, &device) * 30.0, random([13, 7], 7, &device));
        let run = |gated: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
            let (gate, up) = (gate.clone().autodiff().require_grad(), up.clone().autodiff().require_grad());
            // Parts, so that neither factor fills its storage.
            let y = gated(gate.clone().narrow(0, 2, 9), up.clone().narrow(0, 0, 9));
            let gradients = (y.clone() * y.clone()).sum().backward();
            [y.inner(), gate.grad(&gradients).unwrap(), up.grad(&gradients).unwrap()]
        };
        for (ours, stock) in run(swiglu).into_iter().zip(run(|gate, up| silu(gate) * up)) {
            close(ours / 100.0, stock / 100.0, 1e-5);
        }
    }
}
