//! What a unit does with its rows, which it holds in registers.

use crate::kernels::gpu::Vec4;
use burn::cubecl;
use cubecl::prelude::*;

/// What rows sum up of the values that they see, each times the exponential of its score relative to the row's largest; that
/// score, and the sum of the exponentials. A row's divided sums are its output.
///
/// Row `r` is of the token at `position + r` and sees the keys from `first[r]` up to its own; `last` is the last that any sees.
/// Keys and values begin at these fours, `stride` apart.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
pub fn attend(
    sums: &mut Array<Vec4>,
    top: &mut Array<f32>,
    total: &mut Array<f32>,
    query: &Array<Vec4>,
    keys: &[Vec4],
    values: &[Vec4],
    key_at: u32,
    value_at: u32,
    stride: u32,
    first: &Array<u32>,
    position: u32,
    last: u32,
    #[comptime] fours: usize,
    #[comptime] rows: usize,
) {
    let mut power = Array::<f32>::new(rows);
    #[unroll]
    for r in 0..rows {
        top[r] = f32::new(-1e30);
        total[r] = f32::new(0.0);
    }
    for key in first[0]..last + 1 {
        let scores = products(query, keys, key_at + key * stride, fours, rows);
        #[unroll]
        for r in 0..rows {
            let seen = key >= first[r] && key <= position + r as u32;
            if seen && scores[r] > top[r] {
                // What was summed so far was relative to a smaller score.
                let shrink = (top[r] - scores[r]).exp();
                total[r] *= shrink;
                #[unroll]
                for c in 0..fours {
                    sums[r * fours + c] *= Vec4::new(shrink);
                }
                top[r] = scores[r];
            }
            power[r] = select(seen, (scores[r] - top[r]).exp(), 0.0f32);
            total[r] += power[r];
        }
        add_line(sums, &power, values, value_at + key * stride, fours, rows);
    }
}

/// Writes a row of sums, divided.
#[cube]
pub fn put(
    output: &mut [Vec4],
    at: u32,
    sums: &Array<Vec4>,
    total: f32,
    #[comptime] r: usize,
    #[comptime] fours: usize,
) {
    let share = Vec4::new(1.0f32 / total);
    #[unroll]
    for c in 0..fours {
        output[(at * fours as u32 + c as u32) as usize] = sums[r * fours + c] * share;
    }
}

/// The first token of the row of the batch that a block of positions is in, and the block's first position.
#[cube]
pub fn place(block: u32, seq: u32, #[comptime] rows: usize) -> (u32, u32) {
    let blocks = seq.div_ceil(rows as u32);
    (block / blocks * seq, block % blocks * rows as u32)
}

/// The last position of a block.
#[cube]
pub fn last(position: u32, seq: u32, #[comptime] rows: usize) -> u32 {
    let wanted = position + comptime!(rows as u32 - 1);
    select(wanted < seq, wanted, seq - 1)
}

/// Where the rows of one head lie, in rows; those beyond the end are the last one again.
#[cube]
pub fn row_starts(
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
pub fn zeros(#[comptime] count: usize) -> Array<Vec4> {
    let mut zeros = Array::<Vec4>::new(count);
    #[unroll]
    for i in 0..count {
        zeros[i] = Vec4::new(0.0f32);
    }
    zeros
}

/// Rows in registers.
#[cube]
pub fn lines(x: &[Vec4], at: &Array<u32>, #[comptime] fours: usize, #[comptime] rows: usize) -> Array<Vec4> {
    let mut lines = Array::<Vec4>::new(comptime!(fours * rows));
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
pub fn products(
    lines: &Array<Vec4>,
    x: &[Vec4],
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
pub fn add_line(
    sums: &mut Array<Vec4>,
    factors: &Array<f32>,
    x: &[Vec4],
    from: u32,
    #[comptime] fours: usize,
    #[comptime] rows: usize,
) {
    #[unroll]
    for c in 0..fours {
        let four = x[(from + c as u32) as usize];
        #[unroll]
        for r in 0..rows {
            sums[r * fours + c] += Vec4::new(factors[r]) * four;
        }
    }
}

#[cube]
pub fn total(four: Vec4) -> f32 {
    four.extract(0usize) + four.extract(1usize) + four.extract(2usize) + four.extract(3usize)
}
