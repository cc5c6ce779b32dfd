//! Causal attention that never stores a score: one dispatch forward, two backward
//! (<https://arxiv.org/abs/2205.14135>, <https://arxiv.org/abs/2307.08691>). A unit has a row or a few, and their sums
//! in registers.

use super::{Four, GpuTensor, buffer, empty, in_fours, in_software, spread};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl;
use burn::tensor::{Shape, Slice};
use cubecl::prelude::*;

/// The output, and for each row of it four numbers: the logarithm of its sum of exponentials, its first key, and two
/// that the backward pass fills.
///
/// # Shapes
/// - qkv: `[batch * seq, heads + 2 * kv_heads, head_dim]`, head_dim a multiple of 4
/// - first_keys: `[batch * seq]`
/// - output: `[batch * seq, heads, head_dim]` and `[batch * seq, heads, 4]`
pub fn forward(qkv: &GpuTensor, first_keys: &GpuTensor, heads: usize, seq: usize) -> (GpuTensor, GpuTensor) {
    let qkv = lined_up(qkv);
    let [tokens, all_heads, head_dim] = qkv.shape().dims();
    let units = blocks(tokens, seq) * heads;
    let output = empty(Shape::new([tokens, heads, head_dim]), &qkv);
    let stats = empty(Shape::new([tokens, heads, 4]), &qkv);
    let (count, dim) = spread(units).expect("a micro-batch has fewer than four million rows");
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

/// From qkv, the output and its gradient: the gradient for qkv.
pub fn backward(
    qkv: &GpuTensor,
    output: &GpuTensor,
    grad: &GpuTensor,
    stats: &GpuTensor,
    seq: usize,
) -> GpuTensor {
    let [qkv, output, grad] = [qkv, output, grad].map(lined_up);
    let ([tokens, all_heads, head_dim], heads) = (qkv.shape().dims(), output.shape()[1]);
    let kv_heads = (all_heads - heads) / 2;
    let blocks = blocks(tokens, seq);
    let (units, kv_units) = (blocks * heads, blocks * kv_heads);
    let (gradient, new_stats) = (empty(qkv.shape(), &qkv), empty(stats.shape(), &qkv));
    let limit = "a micro-batch has fewer than four million rows";
    let (count, dim) = spread(units).expect(limit);
    let (kv_count, kv_dim) = spread(kv_units).expect(limit);
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

/// Rows that a unit computes together. More of them read each key less often; a real GPU has no registers for that.
fn rows_of_unit() -> usize {
    if in_software() { 4 } else { 1 }
}

/// Blocks of so many rows in all rows of the batch.
fn blocks(tokens: usize, seq: usize) -> usize {
    tokens / seq * seq.div_ceil(rows_of_unit())
}

/// The same values in order.
fn lined_up(x: &GpuTensor) -> GpuTensor {
    if in_fours(x) {
        return x.clone();
    }
    let all: Vec<Slice> = x.shape().iter().map(|&size| Slice::from(0..size)).collect();
    Wgpu::float_slice_assign(empty(x.shape(), x), &all, x.clone())
}

/// One number a token, not fours.
fn first_keys_buffer(x: &GpuTensor) -> BufferArg {
    // SAFETY: the length is that of the tensor whose handle this is.
    unsafe { BufferArg::from_raw_parts(x.handle.clone(), x.shape().num_elements()) }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn forward_kernel(
    qkv: &[Four],
    first_keys: &[f32],
    output: &mut [Four],
    stats: &mut [Four],
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
        let mut sums = zeros(comptime!(fours * rows));
        let mut first = Array::<u32>::new(rows);
        let mut top = Array::<f32>::new(rows);
        let mut total = Array::<f32>::new(rows);
        let mut power = Array::<f32>::new(rows);
        #[unroll]
        for r in 0..rows {
            first[r] = u32::cast_from(first_keys[(at[r] / heads) as usize]);
            top[r] = f32::new(-1e30);
            total[r] = f32::new(0.0);
        }
        for key in first[0]..last(position, seq, rows) + 1 {
            let from = ((start + key) * all_heads + heads + kv_head) * fours as u32;
            let scores = products(&query, qkv, from, fours, rows);
            #[unroll]
            for r in 0..rows {
                let seen = key >= first[r] && key <= position + r as u32;
                if seen && scores[r] > top[r] {
                    // What was summed so far was relative to a smaller score.
                    let shrink = (top[r] - scores[r]).exp();
                    total[r] *= shrink;
                    #[unroll]
                    for c in 0..fours {
                        sums[r * fours + c] *= Four::new(shrink);
                    }
                    top[r] = scores[r];
                }
                power[r] = select(seen, (scores[r] - top[r]).exp(), 0.0f32);
                total[r] += power[r];
            }
            add_line(&mut sums, &power, qkv, from + kv_heads * fours as u32, fours, rows);
        }
        #[unroll]
        for r in 0..rows {
            if position + (r as u32) < seq {
                let share = Four::new(1.0f32 / total[r]);
                #[unroll]
                for c in 0..fours {
                    output[(at[r] * fours as u32 + c as u32) as usize] = sums[r * fours + c] * share;
                }
                let mut stat = Four::new(0.0f32);
                stat.insert(0usize, top[r] + total[r].ln());
                stat.insert(1usize, f32::cast_from(first[r]));
                stats[at[r] as usize] = stat;
            }
        }
    }
}

/// The gradient for q, and the sum that each row's scores share: Σ output·grad.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn query_kernel(
    qkv: &[Four],
    output: &[Four],
    grad: &[Four],
    stats: &[Four],
    gradient: &mut [Four],
    new_stats: &mut [Four],
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
        let mut stat = Array::<Four>::new(rows);
        let mut first = Array::<u32>::new(rows);
        let mut of_score = Array::<f32>::new(rows);
        #[unroll]
        for r in 0..rows {
            let mut shared = Four::new(0.0f32);
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
    qkv: &[Four],
    grad: &[Four],
    stats: &[Four],
    gradient: &mut [Four],
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

/// The first token of the row of the batch that a block of positions is in, and the block's first position.
#[cube]
fn place(block: u32, seq: u32, #[comptime] rows: usize) -> (u32, u32) {
    let blocks = seq.div_ceil(rows as u32);
    (block / blocks * seq, block % blocks * rows as u32)
}

/// The last position of a block.
#[cube]
fn last(position: u32, seq: u32, #[comptime] rows: usize) -> u32 {
    let wanted = position + comptime!(rows as u32 - 1);
    select(wanted < seq, wanted, seq - 1)
}

/// Where the rows of one head lie, in rows; those beyond the end are the last one again.
#[cube]
fn row_starts(
    start: u32,
    position: u32,
    seq: u32,
    heads: u32,
    head: u32,
    #[comptime] rows: usize,
) -> Array<u32> {
    let mut at = Array::<u32>::new(rows);
    #[unroll]
    for r in 0..rows {
        let wanted = position + r as u32;
        at[r] = (start + select(wanted < seq, wanted, seq - 1)) * heads + head;
    }
    at
}

#[cube]
fn zeros(#[comptime] count: usize) -> Array<Four> {
    let mut zeros = Array::<Four>::new(count);
    #[unroll]
    for i in 0..count {
        zeros[i] = Four::new(0.0f32);
    }
    zeros
}

/// Rows in registers.
#[cube]
fn lines(x: &[Four], at: &Array<u32>, #[comptime] fours: usize, #[comptime] rows: usize) -> Array<Four> {
    let mut lines = Array::<Four>::new(comptime!(fours * rows));
    #[unroll]
    for r in 0..rows {
        #[unroll]
        for c in 0..fours {
            lines[r * fours + c] = x[(at[r] * fours as u32 + c as u32) as usize];
        }
    }
    lines
}

/// The dot product of each row in registers with one row in memory.
#[cube]
fn products(
    lines: &Array<Four>,
    x: &[Four],
    from: u32,
    #[comptime] fours: usize,
    #[comptime] rows: usize,
) -> Array<f32> {
    let mut parts = zeros(rows);
    #[unroll]
    for c in 0..fours {
        let four = x[(from + c as u32) as usize];
        #[unroll]
        for r in 0..rows {
            parts[r] += lines[r * fours + c] * four;
        }
    }
    let mut totals = Array::<f32>::new(rows);
    #[unroll]
    for r in 0..rows {
        totals[r] = total(parts[r]);
    }
    totals
}

/// Adds a row in memory, times a factor for each row in registers.
#[cube]
fn add_line(
    sums: &mut Array<Four>,
    factors: &Array<f32>,
    x: &[Four],
    from: u32,
    #[comptime] fours: usize,
    #[comptime] rows: usize,
) {
    #[unroll]
    for c in 0..fours {
        let four = x[(from + c as u32) as usize];
        #[unroll]
        for r in 0..rows {
            sums[r * fours + c] += Four::new(factors[r]) * four;
        }
    }
}

#[cube]
fn total(four: Four) -> f32 {
    four.extract(0usize) + four.extract(1usize) + four.extract(2usize) + four.extract(3usize)
}
