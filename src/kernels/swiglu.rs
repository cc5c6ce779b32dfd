//! SwiGLU's gate (<https://arxiv.org/abs/2002.05202>), one operation forward and one backward.

use super::contiguous;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::backend::ops::ActivationOps;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::tensor::Slice;
use burn::tensor::{DType, Tensor, TensorData};
use wide::f32x4;

/// `gate·σ(gate)·up`
///
/// # Shapes
/// - gate_up: `[tokens, 2 * ffn]`, in each row the gate and then what it is multiplied with
/// - output: `[tokens, ffn]`
pub fn swiglu(gate_up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SwiGlu>::gated(gate_up.into_dispatch()))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait SwiGlu: Backend {
    fn gated(gate_up: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The gradient for both halves, side by side.
    fn gated_backward(gate_up: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl SwiGlu for burn::backend::Wgpu {
    fn gated(gate_up: FloatTensor<Self>) -> FloatTensor<Self> {
        super::gpu::swiglu::gated(&gate_up).unwrap_or_else(|| {
            let [gate, up] = halves::<Self>(gate_up);
            let sigmoid = <Self as ActivationOps<Self>>::sigmoid(gate.clone());
            Self::float_mul(Self::float_mul(gate, sigmoid), up)
        })
    }

    fn gated_backward(gate_up: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        super::gpu::swiglu::gated_backward(&gate_up, &grad).unwrap_or_else(|| {
            let [gate, up] = halves::<Self>(gate_up);
            let sigmoid = <Self as ActivationOps<Self>>::sigmoid(gate.clone());
            let silu = Self::float_mul(gate, sigmoid.clone());
            // silu' = σ + silu·(1 − σ)
            let rest = Self::float_add_scalar(Self::float_neg(sigmoid.clone()), 1.0.into());
            let slope = Self::float_add(sigmoid, Self::float_mul(silu.clone(), rest));
            let for_gate = Self::float_mul(Self::float_mul(grad.clone(), up), slope);
            Self::float_cat(vec![for_gate, Self::float_mul(grad, silu)], 1)
        })
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
fn halves<B: Backend>(gate_up: FloatTensor<B>) -> [FloatTensor<B>; 2] {
    let ffn = gate_up.shape()[1] / 2;
    [0, ffn].map(|start| B::float_slice(gate_up.clone(), &[Slice::from(..), Slice::from(start..start + ffn)]))
}

impl SwiGlu for Flex {
    fn gated(gate_up: FloatTensor<Self>) -> FloatTensor<Self> {
        assert!(gate_up.dtype() == DType::F32, "activations are f32");
        let gate_up = contiguous(gate_up);
        let (tokens, ffn) = (gate_up.shape()[0], gate_up.shape()[1] / 2);
        let mut output = Vec::with_capacity(tokens * ffn);
        for row in gate_up.storage::<f32>().chunks_exact((2 * ffn).max(1)) {
            let (gate, up) = row.split_at(ffn);
            let start = output.len();
            output.extend_from_slice(gate);
            for_each_four(&mut output[start..], up, |gate, up| gate * sigmoid(gate) * up);
        }
        Flex::float_from_data(TensorData::new(output, [tokens, ffn]), &Default::default())
    }

    fn gated_backward(gate_up: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let (mut gate_up, grad) = (contiguous(gate_up), contiguous(grad));
        let ffn = (gate_up.shape()[1] / 2).max(1);
        let rows = gate_up.storage_mut::<f32>().chunks_exact_mut(2 * ffn);
        for (row, grad) in rows.zip(grad.storage::<f32>().chunks_exact(ffn)) {
            let (gate, up) = row.split_at_mut(ffn);
            let (gates, gate_rest) = gate.as_chunks_mut::<4>();
            let (ups, up_rest) = up.as_chunks_mut::<4>();
            let (grads, grad_rest) = grad.as_chunks::<4>();
            for ((gate, up), grad) in gates.iter_mut().zip(ups).zip(grads) {
                let [of_gate, of_up] = slopes(f32x4::new(*gate), f32x4::new(*up), f32x4::new(*grad));
                (*gate, *up) = (of_gate.to_array(), of_up.to_array());
            }
            for ((gate, up), grad) in gate_rest.iter_mut().zip(up_rest).zip(grad_rest) {
                let [of_gate, of_up] = slopes(f32x4::splat(*gate), f32x4::splat(*up), f32x4::splat(*grad));
                (*gate, *up) = (of_gate.to_array()[0], of_up.to_array()[0]);
            }
        }
        gate_up
    }
}

impl<B: SwiGlu, C: CheckpointStrategy> SwiGlu for Autodiff<B, C> {
    fn gated(gate_up: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gated;

        impl<B: SwiGlu> Backward<B, 1> for Gated {
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gate_up = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |grad| B::gated_backward(gate_up, grad));
            }
        }

        let node = gate_up.node();
        let gate_up = gate_up.into_primitive();
        match Gated.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::gated(gate_up.clone());
                prepared.finish(gate_up, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::gated(gate_up)),
        }
    }

    fn gated_backward(_gate_up: FloatTensor<Self>, _grad: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are never taken")
    }
}

fn sigmoid(x: f32x4) -> f32x4 {
    f32x4::ONE / (f32x4::ONE + (-x).exp())
}

/// The gradients for gate and up.
fn slopes(gate: f32x4, up: f32x4, grad: f32x4) -> [f32x4; 2] {
    let sigmoid = sigmoid(gate);
    let gated = gate * sigmoid;
    [grad * up * (sigmoid + gated * (f32x4::ONE - sigmoid)), grad * gated]
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
        let scale = Tensor::<1>::from_floats([30.0; 7], &device);
        let gate_up =
            random([13, 14], 6, &device) * Tensor::cat(vec![scale.clone(), scale / 30.0], 0).unsqueeze();
        let target = random([9, 7], 7, &device);
        let run = |gated: fn(Tensor<2>) -> Tensor<2>| {
            let gate_up = gate_up.clone().autodiff().require_grad();
            // A part, so that it does not fill its storage.
            let y = gated(gate_up.clone().narrow(0, 2, 9));
            let gradients = (y.clone() * target.clone()).sum().backward();
            [y.inner(), gate_up.grad(&gradients).unwrap()]
        };
        let stock = |gate_up: Tensor<2>| silu(gate_up.clone().narrow(1, 0, 7)) * gate_up.narrow(1, 7, 7);
        for (ours, stock) in run(swiglu).into_iter().zip(run(stock)) {
            close(ours, stock, 1e-5);
        }
    }
}
