//! AdamW in one dispatch over the flat buffer of trained values.

use super::{GpuTensor, is_contiguous, workgroups_in_rows};
use crate::kernels::adamw::{Factors, NORM_EPSILON};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// The bits of an exponent; a number that has them all is infinite or none.
const EXPONENT: u32 = 0x7f80_0000;

/// From `[values, gradient, first, second]` the values and both moments after an update: in place where nobody else holds a
/// tensor.
///
/// # Panics
/// When a vector's values do not follow one another in memory, or there are not as many of each.
pub fn update(
    tensors: [GpuTensor; 4],
    guard: GpuTensor,
    factors: Factors,
) -> (GpuTensor, GpuTensor, GpuTensor) {
    let total = tensors[0].shape().num_elements();
    assert!(tensors.iter().all(|tensor| is_contiguous(tensor) && tensor.shape().num_elements() == total));
    let [values, gradient, first, second] = tensors;
    let own = |tensor: GpuTensor| if tensor.can_mut() { tensor } else { tensor.copy() };
    let [values, first, second] = [values, first, second].map(own);
    let width = if total.is_multiple_of(4) { 4 } else { 1 };
    let (count, dim) = workgroups_in_rows(total / width);
    // SAFETY: all four have as many vectors of this width, and the guard has two numbers.
    unsafe {
        let buffer = |tensor: &GpuTensor| BufferArg::from_raw_parts(tensor.handle.clone(), total / width);
        update_kernel::launch_unchecked(
            &values.client,
            count,
            dim,
            width,
            buffer(&values),
            buffer(&gradient),
            buffer(&first),
            buffer(&second),
            BufferArg::from_raw_parts(guard.handle.clone(), guard.shape().num_elements()),
            (total / width) as u32,
            factors.max_grad_norm,
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
fn update_kernel<N: Size>(
    values: &mut [Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    first: &mut [Vector<f32, N>],
    second: &mut [Vector<f32, N>],
    guard: &[u32],
    count: u32,
    max_grad_norm: f32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    kept: f32,
    step: f32,
    root: f32,
    epsilon: f32,
) {
    let i = ABSOLUTE_POS_X + ABSOLUTE_POS_Y * CUBE_COUNT_X * CUBE_DIM_X;
    // By its bits, since shader compilers may take every number for a finite one.
    let gate_is_finite = (guard[0] & EXPONENT) != EXPONENT;
    if gate_is_finite && i < count {
        let at = i as usize;
        let norm = f32::reinterpret(guard[1]).sqrt();
        let clipped =
            select(max_grad_norm > 0.0f32, min(max_grad_norm / (norm + NORM_EPSILON), 1.0f32), 1.0f32);
        let g = gradient[at] * Vector::new(clipped);
        let m = first[at] * Vector::new(beta1) + g * Vector::new(rest1);
        let s = second[at] * Vector::new(beta2) + g * g * Vector::new(rest2);
        first[at] = m;
        second[at] = s;
        values[at] = values[at] * Vector::new(kept)
            - m / (s.sqrt() * Vector::new(root) + Vector::new(epsilon)) * Vector::new(step);
    }
}
