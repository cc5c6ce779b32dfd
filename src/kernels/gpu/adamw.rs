//! AdamW in one dispatch over the flat buffer of trained values.

use super::{Four, GpuTensor, buffer, empty, in_fours, spread};
use crate::kernels::adamw::Factors;
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// From `[values, gradient, first, second]` the values and both moments after an update, or `None` where the buffer is
/// no whole fours.
pub fn update(tensors: [&GpuTensor; 4], factors: Factors) -> Option<(GpuTensor, GpuTensor, GpuTensor)> {
    if !tensors.iter().all(|tensor| in_fours(tensor)) {
        return None;
    }
    let [values, gradient, first, second] = tensors;
    let fours = values.shape().num_elements() / 4;
    let (count, dim) = spread(fours)?;
    let output = || empty(values.shape(), values);
    let (new_values, new_first, new_second) = (output(), output(), output());
    // SAFETY: all seven have as many fours.
    unsafe {
        update_kernel::launch_unchecked(
            &values.client,
            count,
            dim,
            buffer(values),
            buffer(gradient),
            buffer(first),
            buffer(second),
            buffer(&new_values),
            buffer(&new_first),
            buffer(&new_second),
            fours as u32,
            factors.gradient,
            factors.beta1,
            factors.beta2,
            factors.rest1,
            factors.rest2,
            factors.kept,
            factors.step,
            factors.root,
            factors.epsilon,
        );
    }
    Some((new_values, new_first, new_second))
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn update_kernel(
    values: &[Four],
    gradient: &[Four],
    first: &[Four],
    second: &[Four],
    new_values: &mut [Four],
    new_first: &mut [Four],
    new_second: &mut [Four],
    fours: u32,
    gradient_factor: f32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    kept: f32,
    step: f32,
    root: f32,
    epsilon: f32,
) {
    let i = ABSOLUTE_POS_X;
    if i < fours {
        let at = i as usize;
        let g = gradient[at] * Four::new(gradient_factor);
        let m = first[at] * Four::new(beta1) + g * Four::new(rest1);
        let s = second[at] * Four::new(beta2) + g * g * Four::new(rest2);
        new_first[at] = m;
        new_second[at] = s;
        new_values[at] = values[at] * Four::new(kept)
            - m / (s.sqrt() * Four::new(root) + Four::new(epsilon)) * Four::new(step);
    }
}
