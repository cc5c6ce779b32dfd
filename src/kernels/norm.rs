//! The size of a gradient, for its report and its clipping.

use super::contiguous;
use super::sums::dot;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

/// The sum of the squares of all values, without gradients and without a copy of the values: `[1]`.
///
/// # Shapes
/// - x: `[length]`
pub fn sum_of_squares(x: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Norm>::sum_of_squares(x.into_dispatch()))
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Norm: Backend {
    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_sum(Self::float_mul(x.clone(), x))
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Norm for burn::backend::Wgpu {
    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::gpu::norm::partial_sums(&x) {
            Some(sums) => Self::float_sum(sums),
            None => Self::float_sum(Self::float_mul(x.clone(), x)),
        }
    }
}

impl Norm for Flex {
    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = contiguous(x);
        // Sums of a few thousand squares each, so that single precision keeps their digits.
        let sum: f64 = x.storage::<f32>().chunks(4096).map(|values| f64::from(dot(values, values))).sum();
        Flex::float_from_data(TensorData::new(vec![sum as f32], [1]), &Default::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn squares_are_summed_as_by_stock_operations() {
        let device = Device::flex();
        for length in [1, 30, 5000] {
            let x = random([length + 3], 1, &device).narrow(0, 2, length);
            let stock = x.clone().square().sum();
            close(sum_of_squares(x) / stock, Tensor::from_floats([1.0], &device), 1e-5);
        }
    }
}
