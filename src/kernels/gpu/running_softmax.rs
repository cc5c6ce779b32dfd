//! A part of rows of logits, added to the softmax of the parts before: one workgroup a row, one dispatch.

use super::workgroup::{self, Workgroup};
use super::{GpuTensor, MOST_GROUPS, Vec4, buffer, empty, is_aligned};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// As [`crate::kernels::running_softmax::add_part`], with the largest logits and the sums before; `None` where rows are no whole
/// fours.
pub fn add_part(logits: &GpuTensor, before: Option<[&GpuTensor; 2]>) -> Option<[GpuTensor; 4]> {
    let (rows, width) = (logits.shape()[0], logits.shape()[1]);
    if !is_aligned(logits) || rows > MOST_GROUPS {
        return None;
    }
    let exponentials = empty(logits.shape(), logits);
    let column = || empty(Shape::new([rows, 1]), logits);
    let (top, sum, rescaled, workgroup) = (column(), column(), column(), Workgroup::of(logits));
    // SAFETY: that many numbers are there.
    let numbers = |x: &GpuTensor| unsafe { BufferArg::from_raw_parts(x.handle.clone(), rows) };
    // Without parts before they are not read.
    let [top_before, sum_before] = before.unwrap_or([logits, logits]).map(numbers);
    // SAFETY: logits and exponentials have as many rows of as many fours, and the others one number a row.
    unsafe {
        add_kernel::launch_unchecked(
            &logits.client,
            CubeCount::Static(rows as u32, 1, 1),
            CubeDim::new_1d(workgroup.width),
            buffer(logits),
            top_before,
            sum_before,
            buffer(&exponentials),
            numbers(&top),
            numbers(&sum),
            numbers(&rescaled),
            (width / 4) as u32,
            before.is_some(),
            workgroup,
        );
    }
    Some([exponentials, top, sum, rescaled])
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn add_kernel(
    logits: &[Vec4],
    top_before: &[f32],
    sum_before: &[f32],
    exponentials: &mut [Vec4],
    tops: &mut [f32],
    row_sums: &mut [f32],
    rescaled: &mut [f32],
    fours: u32,
    #[comptime] has_before: bool,
    #[comptime] workgroup: Workgroup,
) {
    let start = CUBE_POS_X * fours;
    let mut top = f32::new(-3e38);
    for i in range_stepped(UNIT_POS_X, fours, workgroup.width) {
        let four = logits[(start + i) as usize];
        #[unroll]
        for c in 0..4usize {
            let value = four.extract(c);
            top = select(value > top, value, top);
        }
    }
    top = workgroup::max(top, workgroup);
    let mut factor = 0.0f32;
    let mut earlier = 0.0f32;
    if comptime!(has_before) {
        let before = top_before[CUBE_POS_X as usize];
        top = select(before > top, before, top);
        factor = (before - top).exp();
        earlier = sum_before[CUBE_POS_X as usize] * factor;
    }
    let mut sums = Vec4::new(0.0f32);
    for i in range_stepped(UNIT_POS_X, fours, workgroup.width) {
        let power = (logits[(start + i) as usize] - Vec4::new(top)).exp();
        exponentials[(start + i) as usize] = power;
        sums += power;
    }
    let own = sums.extract(0usize) + sums.extract(1usize) + sums.extract(2usize) + sums.extract(3usize);
    let sum = workgroup::sum(own, workgroup);
    if UNIT_POS_X == 0 {
        tops[CUBE_POS_X as usize] = top;
        row_sums[CUBE_POS_X as usize] = earlier + sum;
        rescaled[CUBE_POS_X as usize] = factor;
    }
}
