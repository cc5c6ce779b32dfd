//! Sums of squares, a share of the values a unit.

use super::{GpuTensor, UNITS, Vec4, buffer, empty, is_aligned};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// The most units that share the values.
const MOST_UNITS: usize = 4096;

/// Numbers whose sum is that of all squares, or `None` where the values are no whole fours.
pub fn partial_sums(x: &GpuTensor) -> Option<GpuTensor> {
    if !is_aligned(x) {
        return None;
    }
    let fours = x.shape().num_elements() / 4;
    let groups = fours.min(MOST_UNITS).div_ceil(UNITS as usize);
    let sums = empty(Shape::new([groups * UNITS as usize]), x);
    // SAFETY: units read within the values, and each writes its own sum.
    unsafe {
        sums_kernel::launch_unchecked(
            &x.client,
            CubeCount::Static(groups as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            buffer(x),
            BufferArg::from_raw_parts(sums.handle.clone(), groups * UNITS as usize),
            fours as u32,
            (groups * UNITS as usize) as u32,
        );
    }
    Some(sums)
}

#[cube(launch_unchecked)]
fn sums_kernel(x: &[Vec4], sums: &mut [f32], fours: u32, units: u32) {
    let mut sum = 0.0f32;
    for i in range_stepped(ABSOLUTE_POS_X, fours, units) {
        let four = x[i as usize];
        sum += four.dot(four);
    }
    sums[ABSOLUTE_POS_X as usize] = sum;
}
