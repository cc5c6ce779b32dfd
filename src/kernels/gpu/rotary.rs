//! Rotary position embedding in one dispatch.

use super::{Four, GpuTensor, buffer, empty, in_fours, spread};
use crate::kernels::rotary::Turn;
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// Turns queries and keys, or `None` where half a head is no whole fours or the values do not lie in order.
///
/// # Shapes
/// - qkv, output: `[tokens, heads + 2 * kv_heads, head_dim]`
/// - cos, sin: `[tokens, 1, head_dim / 2]`
pub fn rotate(qkv: &GpuTensor, cos: &GpuTensor, sin: &GpuTensor, turn: Turn) -> Option<GpuTensor> {
    let shape = qkv.shape();
    let (all_heads, half) = (shape[1], shape[2] / 2);
    if half % 4 != 0 || ![qkv, cos, sin].into_iter().all(in_fours) {
        return None;
    }
    let units = shape.num_elements() / 8;
    let (count, dim) = spread(units)?;
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
            turn.scale,
            turn.direction,
        );
    }
    Some(output)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn rotate_kernel(
    x: &[Four],
    cos: &[Four],
    sin: &[Four],
    output: &mut [Four],
    units: u32,
    all_heads: u32,
    scaled: u32,
    turned: u32,
    half: u32,
    scale: f32,
    direction: f32,
) {
    let unit = ABSOLUTE_POS_X;
    if unit < units {
        let i = unit % half;
        let line = unit / half;
        let head = line % all_heads;
        let from = line * half * 2 + i;
        let angle = line / all_heads * half + i;
        let first = x[from as usize];
        let second = x[(from + half) as usize];
        let factor = select(head < scaled, scale, 1.0f32);
        let turns = head < turned;
        let cosine = select(turns, cos[angle as usize] * Four::new(factor), Four::new(1.0f32));
        let sine = select(turns, sin[angle as usize] * Four::new(factor * direction), Four::new(0.0f32));
        output[from as usize] = first * cosine - second * sine;
        output[(from + half) as usize] = second * cosine + first * sine;
    }
}
