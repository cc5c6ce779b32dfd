//! An update of AdamW (<https://arxiv.org/abs/1711.05101>) in one pass.

use super::in_order;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// What one update multiplies with.
#[derive(Debug, Clone, Copy)]
pub struct Factors {
    /// Of the gradient, as clipping demands.
    pub gradient: f32,
    pub beta1: f32,
    pub beta2: f32,
    /// 1 − beta1 and 1 − beta2, which single precision would round.
    pub rest1: f32,
    pub rest2: f32,
    /// Of the values: 1 − learning rate · weight decay.
    pub kept: f32,
    /// Learning rate over the first moment's bias correction.
    pub step: f32,
    /// 1 over the root of the second moment's bias correction.
    pub root: f32,
    pub epsilon: f32,
}

/// The values, the first and the second moment after an update, without gradients; each tensor is `[total]`.
pub fn adamw(
    values: Tensor<1>,
    gradient: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    factors: Factors,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let (values, gradient) = (values.into_dispatch(), gradient.into_dispatch());
    let (first, second) = (first.into_dispatch(), second.into_dispatch());
    let (values, first, second) = <Dispatch as AdamW>::adamw(values, gradient, first, second, factors);
    (Tensor::from_dispatch(values), Tensor::from_dispatch(first), Tensor::from_dispatch(second))
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait AdamW: Backend {
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
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
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let tensors = [values, gradient, first, second];
        if super::gpu::adamw::suits(&tensors) {
            return super::gpu::adamw::update(tensors, factors);
        }
        let [values, gradient, first, second] = tensors;
        stock::<Self>(values, gradient, first, second, factors)
    }
}

impl AdamW for Flex {
    fn adamw(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = in_order(gradient);
        let [mut values, mut first, mut second] = [values, first, second].map(in_order);
        // In place where nobody else holds a tensor.
        let (v, m, s) =
            (values.storage_mut::<f32>(), first.storage_mut::<f32>(), second.storage_mut::<f32>());
        for (((v, m), s), g) in v.iter_mut().zip(m).zip(s).zip(gradient.storage::<f32>()) {
            let g = g * factors.gradient;
            *m = *m * factors.beta1 + g * factors.rest1;
            *s = *s * factors.beta2 + g * g * factors.rest2;
            *v = *v * factors.kept - *m / (s.sqrt() * factors.root + factors.epsilon) * factors.step;
        }
        (values, first, second)
    }
}

/// The plain form: what the kernels must agree with.
#[cfg(any(target_arch = "wasm32", feature = "vulkan", test))]
fn stock<B: Backend>(
    values: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    factors: Factors,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let times = |x: FloatTensor<B>, factor: f32| B::float_mul_scalar(x, factor.into());
    let gradient = times(gradient, factors.gradient);
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(times(first, factors.beta1), times(gradient, factors.rest1));
    let second = B::float_add(times(second, factors.beta2), times(square, factors.rest2));
    let root = times(B::float_sqrt(second.clone()), factors.root);
    let step = B::float_div(first.clone(), B::float_add_scalar(root, factors.epsilon.into()));
    let values = B::float_sub(times(values, factors.kept), times(step, factors.step));
    (values, first, second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::backend::ops::FloatTensorOps;
    use burn::tensor::Device;

    #[test]
    fn an_update_is_the_stock_one() {
        let factors = Factors {
            gradient: 0.3,
            beta1: 0.9,
            beta2: 0.999,
            rest1: 0.1,
            rest2: 0.001,
            kept: 0.99,
            step: 0.02,
            root: 1.4,
            epsilon: 1e-8,
        };
        let device = Device::flex();
        let whole = random([40], 1, &device);
        // A part, which the update must leave as it is for its other holders.
        let (values, before) = (whole.clone().narrow(0, 7, 23), whole.to_data());
        let (gradient, first) = (random([23], 2, &device), random([23], 3, &device));
        let second = random([23], 4, &device).square();
        let ours = adamw(values.clone(), gradient.clone(), first.clone(), second.clone(), factors);
        let primitive = |x: &Tensor<1>| Flex::float_from_data(x.to_data(), &Default::default());
        let stock = stock::<Flex>(
            primitive(&values),
            primitive(&gradient),
            primitive(&first),
            primitive(&second),
            factors,
        );
        let tensor = |x: FloatTensor<Flex>| Tensor::<1>::from_data(x.into_data(), &device);
        close(ours.0, tensor(stock.0), 1e-6);
        close(ours.1, tensor(stock.1), 1e-6);
        close(ours.2, tensor(stock.2), 1e-6);
        assert_eq!(whole.to_data(), before);
    }
}
