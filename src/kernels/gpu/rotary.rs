//! Rotary position embedding in one dispatch, from heads that need not lie in order.

use super::{Four, GpuTensor, buffer, empty, in_fours, spread};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::DType;
use cubecl::prelude::*;

/// Turns by the angle, or back for a `direction` of -1, and scales; `None` where half a head is no
/// whole fours.
///
/// # Shapes
/// - x: `[batch, heads, seq, head_dim]`, any order but within a head
/// - cos, sin: `[batch, 1, seq, head_dim / 2]`
/// - output: as x, in order
pub fn rotate(
    x: &GpuTensor,
    cos: &GpuTensor,
    sin: &GpuTensor,
    scale: f32,
    direction: f32,
) -> Option<GpuTensor> {
    let (shape, strides) = (x.shape(), x.meta.strides());
    let (heads, seq, half) = (shape[1], shape[2], shape[3] / 2);
    let whole = shape[3] % 8 == 0 && strides[3] == 1 && strides.iter().take(3).all(|stride| stride % 4 == 0);
    if x.dtype != DType::F32 || !whole || !in_fours(cos) || !in_fours(sin) {
        return None;
    }
    let units = shape.num_elements() / 8;
    let (count, dim) = spread(units)?;
    let output = empty(shape, x);
    let fours = |dim: usize| (strides[dim] / 4) as u32;
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
            seq as u32,
            (half / 4) as u32,
            fours(0),
            fours(1),
            fours(2),
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
    seq: u32,
    half: u32,
    batch_line: u32,
    head_line: u32,
    seq_line: u32,
    scale: f32,
    direction: f32,
) {
    let unit = ABSOLUTE_POS_X;
    if unit < units {
        let i = unit % half;
        let line = unit / half;
        let position = line % seq;
        let batch = line / seq / heads;
        let head = line / seq % heads;
        let from = batch * batch_line + head * head_line + position * seq_line + i;
        let angle = (batch * seq + position) * half + i;
        let first = x[from as usize];
        let second = x[(from + half) as usize];
        let cosine = cos[angle as usize] * Four::new(scale);
        let sine = sin[angle as usize] * Four::new(scale * direction);
        let to = line * half * 2 + i;
        output[to as usize] = first * cosine - second * sine;
        output[(to + half) as usize] = second * cosine + first * sine;
    }
}
