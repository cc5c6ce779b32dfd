//! Root-mean-square normalisation: one workgroup a row, one dispatch forward and one backward.

use super::workgroup::{self, Workgroup};
use super::{GpuTensor, MOST_GROUPS, Vec4, buffer, empty, is_aligned};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// `x / √(mean x² + eps) · weight`, or `None` where rows are no whole fours.
///
/// # Shapes
/// - x, output: `[tokens, hidden]`
/// - weight: `[1, hidden]`
pub fn rms_norm(x: &GpuTensor, weight: &GpuTensor, eps: f32) -> Option<GpuTensor> {
    let (rows, fours) = sizes(x)?;
    if !is_aligned(weight) {
        return None;
    }
    let (output, workgroup) = (empty(x.shape(), x), Workgroup::of(x));
    // SAFETY: both tensors have as many rows of as many fours, and the weight has one row.
    unsafe {
        forward_kernel::launch_unchecked(
            &x.client,
            CubeCount::Static(rows as u32, 1, 1),
            CubeDim::new_1d(workgroup.width),
            buffer(x),
            buffer(weight),
            buffer(&output),
            fours as u32,
            eps,
            workgroup,
        );
    }
    Some(output)
}

/// The gradient for x, with the sum of the others' added.
pub fn backward(
    x: &GpuTensor,
    weight: &GpuTensor,
    grad: &GpuTensor,
    others: Option<&GpuTensor>,
    eps: f32,
) -> Option<GpuTensor> {
    let (rows, fours) = sizes(x)?;
    if !is_aligned(weight) || !is_aligned(grad) || !others.is_none_or(is_aligned) {
        return None;
    }
    let (output, workgroup) = (empty(x.shape(), x), Workgroup::of(x));
    // SAFETY: all tensors but the weight have as many rows of as many fours, and the weight has one row.
    unsafe {
        backward_kernel::launch_unchecked(
            &x.client,
            CubeCount::Static(rows as u32, 1, 1),
            CubeDim::new_1d(workgroup.width),
            buffer(x),
            buffer(weight),
            buffer(grad),
            // Without others this is not read.
            buffer(others.unwrap_or(grad)),
            buffer(&output),
            fours as u32,
            eps,
            others.is_some(),
            workgroup,
        );
    }
    Some(output)
}

/// Rows and fours a row.
fn sizes(x: &GpuTensor) -> Option<(usize, usize)> {
    let (rows, width) = (x.shape()[0], x.shape()[1]);
    (is_aligned(x) && rows <= MOST_GROUPS).then_some((rows, width / 4))
}

#[cube(launch_unchecked)]
fn forward_kernel(
    x: &[Vec4],
    weight: &[Vec4],
    output: &mut [Vec4],
    fours: u32,
    eps: f32,
    #[comptime] workgroup: Workgroup,
) {
    let start = CUBE_POS_X * fours;
    let mut squares = 0.0f32;
    for i in range_stepped(UNIT_POS_X, fours, workgroup.width) {
        let four = x[(start + i) as usize];
        squares += four.dot(four);
    }
    let sum = workgroup::sum(squares, workgroup);
    let inverse = Vec4::new(1.0f32 / (sum / (fours * 4) as f32 + eps).sqrt());
    for i in range_stepped(UNIT_POS_X, fours, workgroup.width) {
        output[(start + i) as usize] = x[(start + i) as usize] * inverse * weight[i as usize];
    }
}

/// With g the gradient times the weight: (g − x·Σ(g·x)/(n·(mean x² + eps))) / √(mean x² + eps).
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn backward_kernel(
    x: &[Vec4],
    weight: &[Vec4],
    grad: &[Vec4],
    others: &[Vec4],
    output: &mut [Vec4],
    fours: u32,
    eps: f32,
    #[comptime] has_others: bool,
    #[comptime] workgroup: Workgroup,
) {
    let start = CUBE_POS_X * fours;
    let mut squares = 0.0f32;
    let mut products = 0.0f32;
    for i in range_stepped(UNIT_POS_X, fours, workgroup.width) {
        let four = x[(start + i) as usize];
        squares += four.dot(four);
        products += four.dot(grad[(start + i) as usize] * weight[i as usize]);
    }
    let sum = workgroup::sum(squares, workgroup);
    let dot = workgroup::sum(products, workgroup);
    let width = (fours * 4) as f32;
    let mean = sum / width + eps;
    let inverse = Vec4::new(1.0f32 / mean.sqrt());
    let back = Vec4::new(dot / (width * mean));
    for i in range_stepped(UNIT_POS_X, fours, workgroup.width) {
        let wanted = grad[(start + i) as usize] * weight[i as usize];
        let mut sum = (wanted - x[(start + i) as usize] * back) * inverse;
        if comptime!(has_others) {
            sum += others[(start + i) as usize];
        }
        output[(start + i) as usize] = sum;
    }
}
