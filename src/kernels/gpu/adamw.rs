//! AdamW in one dispatch over the flat buffer of trained values.

use super::{Four, GpuTensor, buffer, in_fours, spread};
use crate::kernels::adamw::Factors;
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// Whether the buffers are whole fours.
pub fn suits(tensors: &[GpuTensor; 4]) -> bool {
    tensors.iter().all(in_fours) && spread(tensors[0].shape().num_elements() / 4).is_some()
}

/// From `[values, gradient, first, second]`, which [`suits`] accepted, the values and both moments after an update: in place
/// where nobody else holds a tensor.
pub fn update(tensors: [GpuTensor; 4], factors: Factors) -> (GpuTensor, GpuTensor, GpuTensor) {
    let [values, gradient, first, second] = tensors;
    let own = |tensor: GpuTensor| if tensor.can_mut() { tensor } else { tensor.copy() };
    let [values, first, second] = [values, first, second].map(own);
    let fours = values.shape().num_elements() / 4;
    let (count, dim) = spread(fours).expect("a size that suits");
    // SAFETY: all four have as many fours.
    unsafe {
        update_kernel::launch_unchecked(
            &values.client,
            count,
            dim,
            buffer(&values),
            buffer(&gradient),
            buffer(&first),
            buffer(&second),
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
    (values, first, second)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn update_kernel(
    values: &mut [Four],
    gradient: &[Four],
    first: &mut [Four],
    second: &mut [Four],
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
        first[at] = m;
        second[at] = s;
        values[at] = values[at] * Four::new(kept)
            - m / (s.sqrt() * Four::new(root) + Four::new(epsilon)) * Four::new(step);
    }
}
