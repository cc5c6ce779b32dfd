//! The gradients.

use super::rows::{add_line, last, lines, place, products, row_starts, total, zeros};
use super::{aligned, blocks, rows_of_unit};
use crate::kernels::gpu::{GpuTensor, Vec4, buffer, empty, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// From qkv, the output and its gradient: the gradient for qkv.
pub fn backward(
    qkv: &GpuTensor,
    output: &GpuTensor,
    grad: &GpuTensor,
    stats: &GpuTensor,
    seq: usize,
) -> GpuTensor {
    let [qkv, output, grad] = [qkv, output, grad].map(aligned);
    let ([tokens, all_heads, head_dim], heads) = (qkv.shape().dims(), output.shape()[1]);
    let kv_heads = (all_heads - heads) / 2;
    let blocks = blocks(tokens, seq);
    let (units, kv_units) = (blocks * heads, blocks * kv_heads);
    let (gradient, new_stats) = (empty(qkv.shape(), &qkv), empty(stats.shape(), &qkv));
    let limit = "a micro-batch has fewer than four million rows";
    let (count, dim) = workgroups(units).expect(limit);
    let (kv_count, kv_dim) = workgroups(kv_units).expect(limit);
    // SAFETY: the kernels read and write as many rows of as many fours as the tensors have; one writes the gradients
    // of queries, the other those of keys and values.
    unsafe {
        query_kernel::launch_unchecked(
            &qkv.client,
            count,
            dim,
            buffer(&qkv),
            buffer(&output),
            buffer(&grad),
            buffer(stats),
            buffer(&gradient),
            buffer(&new_stats),
            units as u32,
            seq as u32,
            heads as u32,
            kv_heads as u32,
            head_dim / 4,
            rows_of_unit(),
        );
        key_kernel::launch_unchecked(
            &qkv.client,
            kv_count,
            kv_dim,
            buffer(&qkv),
            buffer(&grad),
            buffer(&new_stats),
            buffer(&gradient),
            kv_units as u32,
            seq as u32,
            heads as u32,
            kv_heads as u32,
            head_dim / 4,
            rows_of_unit(),
        );
    }
    gradient
}

/// The gradient for q, and the sum that each row's scores share: Σ output·grad.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn query_kernel(
    qkv: &[Vec4],
    output: &[Vec4],
    grad: &[Vec4],
    stats: &[Vec4],
    gradient: &mut [Vec4],
    new_stats: &mut [Vec4],
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
        let query_at = row_starts(start, position, seq, all_heads, head, rows);
        let query = lines(qkv, &query_at, fours, rows);
        let of_output = lines(grad, &at, fours, rows);
        let mut sums = zeros(comptime!(fours * rows));
        let mut stat = Array::<Vec4>::new(rows);
        let mut first = Array::<u32>::new(rows);
        let mut of_score = Array::<f32>::new(rows);
        #[unroll]
        for r in 0..rows {
            let mut shared = Vec4::new(0.0f32);
            #[unroll]
            for c in 0..fours {
                shared += of_output[r * fours + c] * output[(at[r] * fours as u32 + c as u32) as usize];
            }
            let mut with_shared = stats[at[r] as usize];
            with_shared.insert(2usize, total(shared));
            stat[r] = with_shared;
            first[r] = u32::cast_from(with_shared.extract(1usize));
        }
        for key in first[0]..last(position, seq, rows) + 1 {
            let from = ((start + key) * all_heads + heads + kv_head) * fours as u32;
            let scores = products(&query, qkv, from, fours, rows);
            let of_probabilities = products(&of_output, qkv, from + kv_heads * fours as u32, fours, rows);
            #[unroll]
            for r in 0..rows {
                let seen = key >= first[r] && key <= position + r as u32;
                let probability = (scores[r] - stat[r].extract(0usize)).exp();
                let change = probability * (of_probabilities[r] - stat[r].extract(2usize));
                of_score[r] = select(seen, change, 0.0f32);
            }
            add_line(&mut sums, &of_score, qkv, from, fours, rows);
        }
        #[unroll]
        for r in 0..rows {
            if position + (r as u32) < seq {
                #[unroll]
                for c in 0..fours {
                    gradient[(query_at[r] * fours as u32 + c as u32) as usize] = sums[r * fours + c];
                }
                new_stats[at[r] as usize] = stat[r];
            }
        }
    }
}

/// The gradients for k and v: a unit has some keys and sums over the queries of their group that see them.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn key_kernel(
    qkv: &[Vec4],
    grad: &[Vec4],
    stats: &[Vec4],
    gradient: &mut [Vec4],
    units: u32,
    seq: u32,
    heads: u32,
    kv_heads: u32,
    #[comptime] fours: usize,
    #[comptime] rows: usize,
) {
    if ABSOLUTE_POS_X < units {
        let kv_head = ABSOLUTE_POS_X % kv_heads;
        let group = heads / kv_heads;
        let (start, position) = place(ABSOLUTE_POS_X / kv_heads, seq, rows);
        let all_heads = heads + 2 * kv_heads;
        let key_at = row_starts(start, position, seq, all_heads, heads + kv_head, rows);
        let value_at = row_starts(start, position, seq, all_heads, heads + kv_heads + kv_head, rows);
        let key = lines(qkv, &key_at, fours, rows);
        let value = lines(qkv, &value_at, fours, rows);
        let mut of_key = zeros(comptime!(fours * rows));
        let mut of_value = zeros(comptime!(fours * rows));
        let mut probability = Array::<f32>::new(rows);
        let mut of_score = Array::<f32>::new(rows);
        for i in 0..(seq - position) * group {
            let asking = position + i / group;
            let head = kv_head * group + i % group;
            let row = (start + asking) * heads + head;
            let stat = stats[row as usize];
            // A later document, or past the window: no later query sees these keys either.
            if stat.extract(1usize) >= f32::cast_from(position + rows as u32) {
                break;
            }
            let from = ((start + asking) * all_heads + head) * fours as u32;
            let of_output = row * fours as u32;
            let scores = products(&key, qkv, from, fours, rows);
            let of_probabilities = products(&value, grad, of_output, fours, rows);
            #[unroll]
            for r in 0..rows {
                let mine = position + r as u32;
                let seen = mine <= asking && stat.extract(1usize) <= f32::cast_from(mine);
                probability[r] = select(seen, (scores[r] - stat.extract(0usize)).exp(), 0.0f32);
                of_score[r] = probability[r] * (of_probabilities[r] - stat.extract(2usize));
            }
            add_line(&mut of_key, &of_score, qkv, from, fours, rows);
            add_line(&mut of_value, &probability, grad, of_output, fours, rows);
        }
        #[unroll]
        for r in 0..rows {
            if position + (r as u32) < seq {
                #[unroll]
                for c in 0..fours {
                    let channel = c as u32;
                    gradient[(key_at[r] * fours as u32 + channel) as usize] = of_key[r * fours + c];
                    gradient[(value_at[r] * fours as u32 + channel) as usize] = of_value[r * fours + c];
                }
            }
        }
    }
}
