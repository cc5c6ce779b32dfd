//! The norm of each query head and each key head, in one dispatch each way: a unit has a head of a token.

use super::{GpuTensor, Vec4, buffer, empty, is_aligned, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// `None` where a head is no whole fours or the values do not lie in order. The rest as for
/// [`crate::kernels::head_norm::norm_heads`].
pub fn norm_heads(
    qkv: &GpuTensor,
    query_weight: &GpuTensor,
    key_weight: &GpuTensor,
    heads: usize,
    eps: f32,
) -> Option<GpuTensor> {
    let shape = qkv.shape();
    if ![qkv, query_weight, key_weight].into_iter().all(is_aligned) {
        return None;
    }
    let rows = shape[0] * shape[1];
    let (count, dim) = workgroups(rows)?;
    let output = empty(shape.clone(), qkv);
    // SAFETY: the kernel reads and writes a row of `head_dim / 4` fours a unit.
    unsafe {
        norm_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            buffer(qkv),
            buffer(query_weight),
            buffer(key_weight),
            buffer(&output),
            rows as u32,
            shape[1] as u32,
            heads as u32,
            ((shape[1] + heads) / 2) as u32,
            (shape[2] / 4) as u32,
            eps,
        );
    }
    Some(output)
}

/// The gradient for qkv.
pub fn backward(
    qkv: &GpuTensor,
    query_weight: &GpuTensor,
    key_weight: &GpuTensor,
    grad: &GpuTensor,
    heads: usize,
    eps: f32,
) -> Option<GpuTensor> {
    let shape = qkv.shape();
    if ![qkv, query_weight, key_weight, grad].into_iter().all(is_aligned) {
        return None;
    }
    let rows = shape[0] * shape[1];
    let (count, dim) = workgroups(rows)?;
    let output = empty(shape.clone(), qkv);
    // SAFETY: as for `norm_heads`.
    unsafe {
        backward_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            buffer(qkv),
            buffer(query_weight),
            buffer(key_weight),
            buffer(grad),
            buffer(&output),
            rows as u32,
            shape[1] as u32,
            heads as u32,
            ((shape[1] + heads) / 2) as u32,
            (shape[2] / 4) as u32,
            eps,
        );
    }
    Some(output)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn norm_kernel(
    x: &[Vec4],
    query_weight: &[Vec4],
    key_weight: &[Vec4],
    output: &mut [Vec4],
    rows: u32,
    all_heads: u32,
    heads: u32,
    normed: u32,
    fours: u32,
    eps: f32,
) {
    let row = ABSOLUTE_POS_X;
    if row < rows {
        let head = row % all_heads;
        let start = row * fours;
        let inverse = inverse_rms(x, start, fours, eps);
        for i in 0..fours {
            let value = x[(start + i) as usize];
            let weight = select(head < heads, query_weight[i as usize], key_weight[i as usize]);
            let normal = value * Vec4::new(inverse) * weight;
            output[(start + i) as usize] = select(head < normed, normal, value);
        }
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn backward_kernel(
    x: &[Vec4],
    query_weight: &[Vec4],
    key_weight: &[Vec4],
    grad: &[Vec4],
    output: &mut [Vec4],
    rows: u32,
    all_heads: u32,
    heads: u32,
    normed: u32,
    fours: u32,
    eps: f32,
) {
    let row = ABSOLUTE_POS_X;
    if row < rows {
        let head = row % all_heads;
        let start = row * fours;
        let inverse = inverse_rms(x, start, fours, eps);
        let mut sum = 0.0f32;
        for i in 0..fours {
            let weight = select(head < heads, query_weight[i as usize], key_weight[i as usize]);
            let wanted = grad[(start + i) as usize] * weight;
            sum += wanted.dot(x[(start + i) as usize]);
        }
        let back = Vec4::new(sum * inverse * inverse / f32::cast_from(fours * 4u32));
        for i in 0..fours {
            let weight = select(head < heads, query_weight[i as usize], key_weight[i as usize]);
            let own = grad[(start + i) as usize];
            let of_x = (own * weight - x[(start + i) as usize] * back) * Vec4::new(inverse);
            output[(start + i) as usize] = select(head < normed, of_x, own);
        }
    }
}

/// `1/√(mean x² + eps)` of a row.
#[cube]
fn inverse_rms(x: &[Vec4], start: u32, fours: u32, eps: f32) -> f32 {
    let mut sum = 0.0f32;
    for i in 0..fours {
        let four = x[(start + i) as usize];
        sum += four.dot(four);
    }
    1.0f32 / (sum / f32::cast_from(fours * 4u32) + eps).sqrt()
}
