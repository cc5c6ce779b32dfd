//! The exponential, four values at a time where the standard library has it one at a time.

use super::in_order;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use wide::f32x4;

/// `eˣ` of each value, without gradients.
pub fn exp<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Exp>::exponential(x.into_dispatch()))
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Exp: Backend {
    fn exponential(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_exp(x)
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Exp for burn::backend::Wgpu {}

impl Exp for Flex {
    fn exponential(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 {
            return Self::float_exp(x);
        }
        let mut x = in_order(x);
        // In place where nobody else holds the tensor.
        exp_slice(x.storage_mut());
        x
    }
}

/// `eˣ` of each value, in place.
pub(super) fn exp_slice(values: &mut [f32]) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        *four = f32x4::new(*four).exp().to_array();
    }
    for value in rest {
        *value = value.exp();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn values_are_the_stock_ones() {
        let x = random([17, 23], 3, &Device::flex()) * 20.0;
        let (ours, stock) = (exp(x.clone()), x.clone().exp());
        close(ours / stock.clone(), stock.clone() / stock, 1e-6);
        let turned = exp(x.clone().transpose()).transpose();
        close(turned / x.clone().exp(), x.clone() * 0.0 + 1.0, 1e-6);
        let part = exp(x.clone().narrow(0, 3, 2));
        close(part / x.clone().narrow(0, 3, 2).exp(), Tensor::ones([2, 23], &Device::flex()), 1e-6);
    }

    #[test]
    fn extremes_neither_overflow_wrongly_nor_vanish() {
        let mut values = [-1e9, -104.0, -87.0, 0.0, -0.0, 88.0, 1e9, f32::NEG_INFINITY];
        exp_slice(&mut values);
        assert_eq!(values[0], 0.0);
        assert_eq!(values[7], 0.0);
        assert_eq!((values[3], values[4]), (1.0, 1.0));
        assert!(values[1] < 1e-37 && values[2] > 0.0 && values[5] > 1e38 && values[6].is_infinite());
        let mut missing = [f32::NAN; 4];
        exp_slice(&mut missing);
        assert!(missing.iter().all(|value| value.is_nan()), "a number that is none must stay visible");
    }
}
