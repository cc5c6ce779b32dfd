//! Vectors one after the other, several of them in a dispatch.

use super::{GpuTensor, Vec4, buffer, empty, is_aligned, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// The values of the first `count` vectors in order, or `None` where one is no whole fours.
pub fn concat(parts: &[GpuTensor; 6], count: usize) -> Option<GpuTensor> {
    if !parts[..count].iter().all(is_aligned) {
        return None;
    }
    let mut end = 0;
    let of_part = |part: &GpuTensor| {
        end += part.shape()[0] / 4;
        end as u32
    };
    let ends: Vec<u32> = parts[..count].iter().map(of_part).collect();
    let (count, dim) = workgroups(end)?;
    let output = empty(Shape::new([end * 4]), &parts[0]);
    let [p0, p1, p2, p3, p4, p5] = parts;
    // SAFETY: each unit reads one four of a part and writes it to its place in the output, which has room for all.
    unsafe {
        concat_kernel::launch_unchecked(
            &output.client,
            count,
            dim,
            buffer(p0),
            buffer(p1),
            buffer(p2),
            buffer(p3),
            buffer(p4),
            buffer(p5),
            buffer(&output),
            ends.into_iter().collect(),
        );
    }
    Some(output)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn concat_kernel(
    p0: &[Vec4],
    p1: &[Vec4],
    p2: &[Vec4],
    p3: &[Vec4],
    p4: &[Vec4],
    p5: &[Vec4],
    output: &mut [Vec4],
    ends: Sequence<u32>,
) {
    let at = ABSOLUTE_POS_X;
    let to = at as usize;
    let mut start = 0u32;
    #[unroll]
    for part in 0..comptime!(ends.len()) {
        let end = ends[part];
        if at >= start && at < end {
            let from = (at - start) as usize;
            if comptime!(part == 0) {
                output[to] = p0[from];
            } else if comptime!(part == 1) {
                output[to] = p1[from];
            } else if comptime!(part == 2) {
                output[to] = p2[from];
            } else if comptime!(part == 3) {
                output[to] = p3[from];
            } else if comptime!(part == 4) {
                output[to] = p4[from];
            } else {
                output[to] = p5[from];
            }
        }
        start = end;
    }
}
