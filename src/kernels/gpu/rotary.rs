//! Rotary position embedding in one dispatch.

use super::{GpuTensor, Vec4, buffer, empty, is_aligned, workgroups};
use crate::kernels::rotary::Turn;
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// Turns queries and keys, or `None` where half a head or half of what turns is no whole fours, or the values do not lie in order.
///
/// # Shapes
/// - qkv, output: `[tokens, heads + 2 * kv_heads, head_dim]`
/// - cos, sin: `[tokens, 1, rotary_dim / 2]`
pub fn rotate(qkv: &GpuTensor, cos: &GpuTensor, sin: &GpuTensor, turn: Turn) -> Option<GpuTensor> {
    let shape = qkv.shape();
    let (all_heads, half, rotary) = (shape[1], shape[2] / 2, cos.shape()[2]);
    if half % 4 != 0 || ![qkv, cos, sin].into_iter().all(is_aligned) {
        return None;
    }
    let units = shape.num_elements() / 8;
    let (count, dim) = workgroups(units)?;
    let output = empty(shape, qkv);
    // SAFETY: the kernel reads within the sizes and strides that the tensors have.
    unsafe {
        rotate_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            buffer(qkv),
            buffer(cos),
            buffer(sin),
            buffer(&output),
            units as u32,
            all_heads as u32,
            turn.heads as u32,
            (turn.heads + turn.kv_heads) as u32,
            (half / 4) as u32,
            (rotary / 4) as u32,
            turn.scale,
            turn.direction,
        );
    }
    Some(output)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn rotate_kernel(
    x: &[Vec4],
    cos: &[Vec4],
    sin: &[Vec4],
    output: &mut [Vec4],
    units: u32,
    all_heads: u32,
    scaled: u32,
    turned: u32,
    half: u32,
    rotary: u32,
    scale: f32,
    direction: f32,
) {
    let unit = ABSOLUTE_POS_X;
    if unit < units {
        let i = unit % half;
        let line = unit / half;
        let head = line % all_heads;
        // Behind the channels that turn, those of a unit lie half of the rest apart.
        let is_turned = i < rotary;
        let start = line * half * 2;
        let from = start + select(is_turned, i, rotary + i);
        let to = start + select(is_turned, rotary + i, half + i);
        let angle = line / all_heads * rotary + select(is_turned, i, 0u32);
        let first = x[from as usize];
        let second = x[to as usize];
        let factor = select(head < scaled, scale, 1.0f32);
        let turns = head < turned && is_turned;
        let cosine = select(turns, cos[angle as usize] * Vec4::new(factor), Vec4::new(factor));
        let sine = select(turns, sin[angle as usize] * Vec4::new(factor * direction), Vec4::new(0.0f32));
        output[from as usize] = first * cosine - second * sine;
        output[to as usize] = second * cosine + first * sine;
    }
}
