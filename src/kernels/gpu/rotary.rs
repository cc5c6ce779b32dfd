//! Rotary position embedding in one dispatch.

use super::{Four, GpuTensor, buffer, empty, in_fours, spread};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// Turns by the angle, or back for a `direction` of -1, and scales; `None` where half a head is no
/// whole fours or the values do not lie in order.
///
/// # Shapes
/// - x, output: `[tokens, heads, head_dim]`
/// - cos, sin: `[tokens, 1, head_dim / 2]`
pub fn rotate(
    x: &GpuTensor,
    cos: &GpuTensor,
    sin: &GpuTensor,
    scale: f32,
    direction: f32,
) -> Option<GpuTensor> {
    let shape = x.shape();
    let (heads, half) = (shape[1], shape[2] / 2);
    if half % 4 != 0 || ![x, cos, sin].into_iter().all(in_fours) {
        return None;
    }
    let units = shape.num_elements() / 8;
    let (count, dim) = spread(units)?;
    let output = empty(shape, x);
    // SAFETY: the kernel reads within the sizes and strides that the tensors have.
    unsafe {
        rotate_kernel::launch_unchecked(
            &x.client,
            count,
            dim,
            buffer(x),
            buffer(cos),
            buffer(sin),
            buffer(&output),
            units as u32,
            heads as u32,
            (half / 4) as u32,
            scale,
            direction,
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
    heads: u32,
    half: u32,
    scale: f32,
    direction: f32,
) {
    let unit = ABSOLUTE_POS_X;
    if unit < units {
        let i = unit % half;
        let line = unit / half;
        let from = line * half * 2 + i;
        let angle = line / heads * half + i;
        let first = x[from as usize];
        let second = x[(from + half) as usize];
        let cosine = cos[angle as usize] * Four::new(scale);
        let sine = sin[angle as usize] * Four::new(scale * direction);
        output[from as usize] = first * cosine - second * sine;
        output[(from + half) as usize] = second * cosine + first * sine;
    }
}
