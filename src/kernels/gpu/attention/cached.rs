//! A piece of each sequence, whose keys lie in a cache with those of the tokens before it.

use super::rows::{attend, last, lines, place, put, row_starts, zeros};
use super::{aligned, blocks, rows_of_unit};
use crate::kernels::gpu::{GpuTensor, Vec4, buffer, empty, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// # Shapes
/// - qkv: `[batch * seq, heads + 2 * kv_heads, head_dim]`, head_dim a multiple of 4; of these the queries are read
/// - keys, values: `[batch, kv_heads, room, head_dim]`, those of the piece at `past` and after it
/// - output: `[batch * seq, heads, head_dim]`
pub fn cached(
    qkv: &GpuTensor,
    keys: &GpuTensor,
    values: &GpuTensor,
    past: usize,
    window: Option<usize>,
) -> GpuTensor {
    let [qkv, keys, values] = [qkv, keys, values].map(aligned);
    let [tokens, all_heads, head_dim] = qkv.shape().dims();
    let [batch, kv_heads, room, _] = keys.shape().dims();
    let (heads, seq) = (all_heads - 2 * kv_heads, tokens / batch);
    let units = blocks(tokens, seq) * heads;
    let output = empty(Shape::new([tokens, heads, head_dim]), &qkv);
    let (count, dim) = workgroups(units).expect("a piece has fewer than four million rows");
    // SAFETY: the kernel reads and writes as many rows of as many fours as the tensors have.
    unsafe {
        cached_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            buffer(&qkv),
            buffer(&keys),
            buffer(&values),
            buffer(&output),
            units as u32,
            seq as u32,
            past as u32,
            window.map_or(u32::MAX, |window| window as u32),
            room as u32,
            heads as u32,
            kv_heads as u32,
            head_dim / 4,
            rows_of_unit(),
        );
    }
    output
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn cached_kernel(
    qkv: &[Vec4],
    keys: &[Vec4],
    values: &[Vec4],
    output: &mut [Vec4],
    units: u32,
    seq: u32,
    past: u32,
    window: u32,
    room: u32,
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
            let end = past + position + (r as u32) + 1u32;
            first[r] = select(end > window, end - window, 0u32);
        }
        let key_at = (start / seq * kv_heads + kv_head) * room * fours as u32;
        let mut sums = zeros(comptime!(fours * rows));
        let mut top = Array::<f32>::new(rows);
        let mut total = Array::<f32>::new(rows);
        attend(
            &mut sums,
            &mut top,
            &mut total,
            &query,
            keys,
            values,
            key_at,
            key_at,
            fours as u32,
            &first,
            past + position,
            past + last(position, seq, rows),
            fours,
            rows,
        );
        #[unroll]
        for r in 0..rows {
            if position + (r as u32) < seq {
                put(output, at[r], &sums, total[r], r, fours);
            }
        }
    }
}
