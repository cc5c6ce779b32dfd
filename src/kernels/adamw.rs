//! An update of AdamW (<https://arxiv.org/abs/1711.05101>) in one pass, with its gradient clipped.

use super::contiguous;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// What is added to a norm before it divides, as by `torch.nn.utils.clip_grad_norm_`.
pub const NORM_EPSILON: f32 = 1e-6;

/// What one update computes with.
#[derive(Debug, Clone, Copy)]
pub struct Factors {
    /// The norm that a larger gradient is brought down to; 0 for none.
    pub max_grad_norm: f32,
    pub beta1: f32,
    pub beta2: f32,
    /// 1 − beta1 and 1 − beta2, which single precision would round.
    pub rest1: f32,
    pub rest2: f32,
    /// The share of each value that weight decay leaves: 1 − learning rate · weight decay.
    pub kept: f32,
    /// Learning rate over the first moment's bias correction.
    pub step: f32,
    /// 1 over the root of the second moment's bias correction.
    pub root: f32,
    pub epsilon: f32,
}

/// The values, the first and the second moment after an update, without gradients. What decides about the update stays on the
/// device, so that nobody waits for it.
///
/// # Shapes
/// - values, gradient, first, second: `[total]`
/// - guard: `[2]` or more: a gate, and the sum of the gradient's squares. Where the gate is not finite, nothing changes.
pub fn adamw(
    values: Tensor<1>,
    gradient: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    guard: Tensor<1>,
    factors: Factors,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let (values, gradient) = (values.into_dispatch(), gradient.into_dispatch());
    let (first, second) = (first.into_dispatch(), second.into_dispatch());
    let guard = guard.into_dispatch();
    let (values, first, second) = <Dispatch as AdamW>::adamw(values, gradient, first, second, guard, factors);
    (Tensor::from_dispatch(values), Tensor::from_dispatch(first), Tensor::from_dispatch(second))
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait AdamW: Backend {
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        guard: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl AdamW for burn::backend::Wgpu {
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        guard: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        super::gpu::adamw::update([values, gradient, first, second], guard, factors)
    }
}

impl AdamW for Flex {
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        guard: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let guard = contiguous(guard);
        let &[gate, squares, ..] = guard.storage::<f32>() else { panic!("a guard has two numbers") };
        if !gate.is_finite() {
            return (values, first, second);
        }
        let clipped = match factors.max_grad_norm {
            0.0 => 1.0,
            most => (most / (squares.sqrt() + NORM_EPSILON)).min(1.0),
        };
        let gradient = contiguous(gradient);
        let [mut values, mut first, mut second] = [values, first, second].map(contiguous);
        // In place where nobody else holds a tensor.
        let (v, m, s) =
            (values.storage_mut::<f32>(), first.storage_mut::<f32>(), second.storage_mut::<f32>());
        for (((v, m), s), g) in v.iter_mut().zip(m).zip(s).zip(gradient.storage::<f32>()) {
            let g = g * clipped;
            *m = *m * factors.beta1 + g * factors.rest1;
            *s = *s * factors.beta2 + g * g * factors.rest2;
            *v = *v * factors.kept - *m / (s.sqrt() * factors.root + factors.epsilon) * factors.step;
        }
        (values, first, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::norm::sum_of_squares;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    const FACTORS: Factors = Factors {
        max_grad_norm: 0.0,
        beta1: 0.9,
        beta2: 0.999,
        rest1: 0.1,
        rest2: 0.001,
        kept: 0.99,
        step: 0.02,
        root: 1.4,
        epsilon: 1e-8,
    };

    /// Values, gradient and both moments; the values are a part of a longer vector.
    fn vectors() -> [Tensor<1>; 4] {
        let vector = |seed| random([23], seed, &Device::flex());
        [random([40], 1, &Device::flex()).narrow(0, 7, 23), vector(2), vector(3), vector(4).square()]
    }

    fn updated(
        [values, gradient, first, second]: [Tensor<1>; 4],
        gate: f32,
        factors: Factors,
    ) -> [Tensor<1>; 3] {
        let gate = Tensor::from_floats([gate], &Device::flex());
        let guard = Tensor::cat(vec![gate, sum_of_squares(gradient.clone())], 0);
        let (values, first, second) = adamw(values, gradient, first, second, guard, factors);
        [values, first, second]
    }

    /// The plain form, with a factor of the gradient.
    fn stock([values, gradient, first, second]: [Tensor<1>; 4], clipped: f32) -> [Tensor<1>; 3] {
        let Factors { beta1, beta2, rest1, rest2, kept, step, root, epsilon, .. } = FACTORS;
        let gradient = gradient * clipped;
        let first = first * beta1 + gradient.clone() * rest1;
        let second = second * beta2 + gradient.square() * rest2;
        let values = values * kept - first.clone() / (second.clone().sqrt() * root + epsilon) * step;
        [values, first, second]
    }

    #[test]
    fn an_update_is_the_stock_one_of_the_clipped_gradient() {
        let held = vectors();
        let before = held.clone().map(|vector| vector.to_data());
        let norm: f32 = sum_of_squares(held[1].clone()).sqrt().into_scalar();
        for (max_grad_norm, clipped) in [(0.0, 1.0), (norm * 2.0, 1.0), (norm * 0.3, 0.3)] {
            let ours = updated(held.clone(), 0.0, Factors { max_grad_norm, ..FACTORS });
            for (ours, stock) in ours.into_iter().zip(stock(held.clone(), clipped)) {
                close(ours, stock, 1e-6);
            }
            // Other holders of a tensor keep it.
            assert_eq!(held.clone().map(|vector| vector.to_data()), before);
        }
    }

    #[test]
    fn nothing_changes_where_the_gate_is_no_number() {
        let before = vectors();
        for gate in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let after = updated(before.clone(), gate, FACTORS).map(|vector| vector.to_data());
            assert_eq!(after, [0, 2, 3].map(|part| before[part].to_data()));
        }
    }
}
