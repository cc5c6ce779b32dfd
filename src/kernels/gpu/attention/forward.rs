//! Whole sequences.

use super::rows::{attend, last, lines, place, put, row_starts, zeros};
use super::{aligned, blocks, first_keys_buffer, rows_of_unit};
use crate::kernels::gpu::{GpuTensor, Vec4, buffer, empty, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// The output, and for each row of it four numbers: the logarithm of its sum of exponentials, its first key, and two
/// that the backward pass fills.
///
/// # Shapes
/// - qkv: `[batch * seq, heads + 2 * kv_heads, head_dim]`, head_dim a multiple of 4
/// - first_keys: `[batch * seq]`
/// - output: `[batch * seq, heads, head_dim]` and `[batch * seq, heads, 4]`
pub fn forward(qkv: &GpuTensor, first_keys: &GpuTensor, heads: usize, seq: usize) -> (GpuTensor, GpuTensor) {
    let qkv = aligned(qkv);
    let [tokens, all_heads, head_dim] = qkv.shape().dims();
    let units = blocks(tokens, seq) * heads;
    let output = empty(Shape::new([tokens, heads, head_dim]), &qkv);
    let stats = empty(Shape::new([tokens, heads, 4]), &qkv);
    let (count, dim) = workgroups(units).expect("a micro-batch has fewer than four million rows");
    // SAFETY: the kernel reads and writes as many rows of as many fours as the tensors have.
    unsafe {
        forward_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            buffer(&qkv),
            first_keys_buffer(first_keys),
            buffer(&output),
            buffer(&stats),
            units as u32,
            seq as u32,
            heads as u32,
            ((all_heads - heads) / 2) as u32,
            head_dim / 4,
            rows_of_unit(),
        );
    }
    (output, stats)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn forward_kernel(
    qkv: &[Vec4],
    first_keys: &[f32],
    output: &mut [Vec4],
    stats: &mut [Vec4],
    units: u32,
    seq: u32,
    heads: u32,
    kv_heads: u32,
    #[comptime] fours: usize,
    #[comptime] rows: usize,
) {
    if ABSOLUTE_POS_X < units {
        let head = ABSOLUTE_POS_X % heads;
        let kv_head = head / (heads / kv_heads);
        let (start, position) = place(ABSOLUTE_POS_X / heads, seq, rows);
        let all_heads = heads + 2 * kv_heads;
        let at = row_starts(start, position, seq, heads, head, rows);
        let query = lines(qkv, &row_starts(start, position, seq, all_heads, head, rows), fours, rows);
        let mut first = Array::<u32>::new(rows);
        #[unroll]
        for r in 0..rows {
            first[r] = u32::cast_from(first_keys[(at[r] / heads) as usize]);
        }
        let key_at = (start * all_heads + heads + kv_head) * fours as u32;
        let mut sums = zeros(comptime!(fours * rows));
        let mut top = Array::<f32>::new(rows);
        let mut total = Array::<f32>::new(rows);
        attend(
            &mut sums,
            &mut top,
            &mut total,
            &query,
            qkv,
            qkv,
            key_at,
            key_at + kv_heads * fours as u32,
            all_heads * fours as u32,
            &first,
            position,
            last(position, seq, rows),
            fours,
            rows,
        );
        #[unroll]
        for r in 0..rows {
            if position + (r as u32) < seq {
                put(output, at[r], &sums, total[r], r, fours);
                let mut stat = Vec4::new(0.0f32);
                stat.insert(0usize, top[r] + total[r].ln());
                stat.insert(1usize, f32::cast_from(first[r]));
                stats[at[r] as usize] = stat;
            }
        }
    }
}
