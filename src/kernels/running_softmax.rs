//! The softmax of rows that come part by part: as in FlashAttention (<https://arxiv.org/abs/2205.14135>), what is summed is
//! relative to the largest number so far.

use super::contiguous;
use super::exp::exp_slice;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

/// What parts of rows have come to so far. Each tensor is `[rows, 1]`.
#[derive(Debug, Clone)]
pub struct Running {
    /// The largest logit.
    pub top: Tensor<2>,
    /// The sum of exponentials, relative to it.
    pub sum: Tensor<2>,
    /// What the last part multiplied earlier sums with, 0 for the first part.
    pub rescaled: Tensor<2>,
}

/// The exponentials of a part of each row's logits, relative to the largest one so far, and what the row has come to with the parts
/// before. Without gradients.
///
/// # Shapes
/// - logits, output: `[rows, part]`
pub fn add_part(logits: Tensor<2>, before: Option<&Running>) -> (Tensor<2>, Running) {
    let logits = logits.into_dispatch();
    let part = |x: fn(&Running) -> &Tensor<2>| match before {
        Some(before) => x(before).clone().into_dispatch(),
        None => logits.clone(),
    };
    let (top, sum) = (part(|before| &before.top), part(|before| &before.sum));
    let (exponentials, top, sum, rescaled) =
        <Dispatch as RunningSoftmax>::add_part(logits, top, sum, before.is_some());
    let [top, sum, rescaled] = [top, sum, rescaled].map(Tensor::from_dispatch);
    (Tensor::from_dispatch(exponentials), Running { top, sum, rescaled })
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait RunningSoftmax: Backend {
    /// Exponentials, largest logit, sum and what earlier sums were multiplied with.
    fn add_part(
        logits: FloatTensor<Self>,
        top: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        has_before: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl RunningSoftmax for burn::backend::Wgpu {
    fn add_part(
        logits: FloatTensor<Self>,
        top: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        has_before: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let added = super::gpu::running_softmax::add_part(&logits, has_before.then_some([&top, &sum]));
        match added {
            Some([exponentials, top, sum, rescaled]) => (exponentials, top, sum, rescaled),
            None => stock::<Self>(logits, has_before.then_some([top, sum])),
        }
    }
}

impl RunningSoftmax for Flex {
    fn add_part(
        logits: FloatTensor<Self>,
        top: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        has_before: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [rows, part] = logits.shape().dims();
        let mut logits = contiguous(logits);
        let before = has_before.then(|| [contiguous(top), contiguous(sum)]);
        let [mut tops, mut sums, mut rescaled] = [0, 1, 2].map(|_| vec![0.0; rows]);
        // In place where nobody else holds the logits.
        for (i, line) in logits.storage_mut::<f32>().chunks_exact_mut(part.max(1)).enumerate() {
            tops[i] = largest(line);
            if let Some([top, sum]) = &before {
                let top = top.storage::<f32>()[i];
                tops[i] = tops[i].max(top);
                rescaled[i] = (top - tops[i]).exp();
                sums[i] = sum.storage::<f32>()[i] * rescaled[i];
            }
            line.iter_mut().for_each(|value| *value -= tops[i]);
            exp_slice(line);
            sums[i] += total(line);
        }
        let column = |values| Flex::float_from_data(TensorData::new(values, [rows, 1]), &Default::default());
        (logits, column(tops), column(sums), column(rescaled))
    }
}

fn largest(values: &[f32]) -> f32 {
    let (fours, rest) = values.as_chunks::<4>();
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut tops = [f32::MIN; 4];
    for four in fours {
        tops = [0, 1, 2, 3].map(|i| larger(tops[i], four[i]));
    }
    rest.iter().copied().chain(tops).fold(f32::MIN, larger)
}

fn total(values: &[f32]) -> f32 {
    let (fours, rest) = values.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for four in fours {
        sums = [0, 1, 2, 3].map(|i| sums[i] + four[i]);
    }
    sums.iter().chain(rest).sum()
}

/// The plain form: what the kernels must agree with.
#[cfg(any(target_arch = "wasm32", feature = "vulkan", test))]
fn stock<B: Backend>(
    logits: FloatTensor<B>,
    before: Option<[FloatTensor<B>; 2]>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let own_top = B::float_max_dim(logits.clone(), 1);
    let top = match &before {
        Some([top, _]) => B::float_max_dim(B::float_cat(vec![own_top, top.clone()], 1), 1),
        None => own_top,
    };
    let exponentials = B::float_exp(B::float_sub(logits, top.clone()));
    let own_sum = B::float_sum_dim(exponentials.clone(), 1);
    match before {
        None => {
            let none = B::float_mul_scalar(own_sum.clone(), 0f32.into());
            (exponentials, top, own_sum, none)
        }
        Some([top_before, sum_before]) => {
            let rescaled = B::float_exp(B::float_sub(top_before, top.clone()));
            let sum = B::float_add(B::float_mul(sum_before, rescaled.clone()), own_sum);
            (exponentials, top, sum, rescaled)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn parts_give_the_stock_numbers() {
        let device = Device::flex();
        let primitive = |x: &Tensor<2>| Flex::float_from_data(x.to_data(), &Default::default());
        let tensor = |x: FloatTensor<Flex>| Tensor::<2>::from_data(x.into_data(), &device);
        let mut before: Option<Running> = None;
        for (part, scale) in [(11, 1.0), (7, 30.0), (1, -4.0)] {
            let logits = random([5, part], part as u64, &device) * scale;
            let kept = logits.to_data();
            let (exponentials, running) = add_part(logits.clone(), before.as_ref());
            assert_eq!(logits.to_data(), kept);
            let before_parts = before.as_ref().map(|before| [primitive(&before.top), primitive(&before.sum)]);
            let expected = stock::<Flex>(primitive(&logits), before_parts);
            close(exponentials, tensor(expected.0), 1e-6);
            close(running.top.clone(), tensor(expected.1), 0.0);
            close(running.sum.clone(), tensor(expected.2), 1e-5);
            close(running.rescaled.clone(), tensor(expected.3), 1e-6);
            before = Some(running);
        }
    }
}
