//! Biases of layers that lie side by side, in one dispatch.

use super::{GpuTensor, Vec4, buffer, empty, is_aligned, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// Adds each bias to its columns, or `None` where the widths are no whole fours or the values do not lie in order.
///
/// # Shapes
/// - x, output: `[tokens, Σ out]`
/// - biases: `[1, out]` each, one to three
pub fn add_biases(x: &GpuTensor, biases: &[GpuTensor]) -> Option<GpuTensor> {
    if !is_aligned(x) || !biases.iter().all(is_aligned) {
        return None;
    }
    let fours = |i: usize| biases.get(i).map_or(0, |bias| bias.shape()[1] / 4);
    let units = x.shape().num_elements() / 4;
    let (count, dim) = workgroups(units)?;
    let output = empty(x.shape(), x);
    let bias = |i: usize| buffer(biases.get(i).unwrap_or(&biases[0]));
    // SAFETY: the kernel reads each bias within its columns, and one four of x a unit.
    unsafe {
        bias_kernel::launch_unchecked(
            &x.client,
            count,
            dim,
            buffer(x),
            bias(0),
            bias(1),
            bias(2),
            buffer(&output),
            units as u32,
            fours(0) as u32,
            (fours(0) + fours(1)) as u32,
            (fours(0) + fours(1) + fours(2)) as u32,
        );
    }
    Some(output)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn bias_kernel(
    x: &[Vec4],
    b0: &[Vec4],
    b1: &[Vec4],
    b2: &[Vec4],
    output: &mut [Vec4],
    units: u32,
    first: u32,
    second: u32,
    width: u32,
) {
    let unit = ABSOLUTE_POS_X;
    if unit < units {
        let column = unit % width;
        let mut sum = x[unit as usize];
        if column < first {
            sum += b0[column as usize];
        }
        if column >= first && column < second {
            sum += b1[(column - first) as usize];
        }
        if column >= second {
            sum += b2[(column - second) as usize];
        }
        output[unit as usize] = sum;
    }
}
