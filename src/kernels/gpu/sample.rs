//! The choice of the next token: one workgroup a row, one dispatch.
//!
//! A row is never sorted. A logit's place in the order of all logits is a whole number, its key, and the lowest key that is
//! kept is found bit by bit: a pass over the row says how many tokens, or how much of the probability, a key would keep.

use super::{GpuTensor, MOST_GROUPS};
use crate::kernels::sample::Choice;
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::tensor::IntTensor;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl;
use burn::tensor::{DType, IntDType, Shape, TensorData};
use cubecl::prelude::*;

/// Units that share a row.
const WIDTH: u32 = 256;
/// Units that sum up what sixteen units each have counted.
const GROUPS: u32 = 16;

/// The key of both zeros.
const ZERO: u32 = 1 << 31;
/// The bits of infinity without its sign; what lies above is not a number.
const INFINITY: u32 = 0x7f80_0000;

/// # Shapes
/// - logits: `[rows, vocab]`, or `[1, vocab]` for all rows
/// - uniforms: `[rows]`
/// - output: `[rows]`
pub fn sample(logits: &GpuTensor, uniforms: &[f64], choice: Choice) -> IntTensor<Wgpu> {
    let (rows, vocab) = (uniforms.len(), logits.shape()[1]);
    assert!(rows <= MOST_GROUPS && logits.dtype == DType::F32);
    // As the logits lie: to the next row, unless it is the same for all, and to the next token.
    let (own_rows, strides) = (logits.shape()[0] > 1, logits.meta.strides());
    let (row_stride, stride) = (if own_rows { strides[0] } else { 0 }, strides[1]);
    let length = row_stride * (rows - 1) + stride * (vocab - 1) + 1;
    let ids = Wgpu::int_empty(Shape::new([rows]), &logits.device(), IntDType::I32);
    let points = match choice.is_greedy() {
        // Not read.
        true => logits.clone(),
        false => {
            let points: Vec<f32> = uniforms.iter().map(|&uniform| uniform as f32).collect();
            Wgpu::float_from_data(TensorData::new(points, [rows]), &logits.device())
        }
    };
    let inverse_temperature = choice.temperature.recip().min(f64::from(f32::MAX)) as f32;
    // SAFETY: each workgroup reads its own row, or the only one, and its number, and writes its id.
    unsafe {
        sample_kernel::launch_unchecked(
            &logits.client,
            CubeCount::Static(rows as u32, 1, 1),
            CubeDim::new_1d(WIDTH),
            BufferArg::from_raw_parts(logits.handle.clone(), length),
            BufferArg::from_raw_parts(points.handle.clone(), points.shape().num_elements()),
            BufferArg::from_raw_parts(ids.handle.clone(), rows),
            vocab as u32,
            row_stride as u32,
            stride as u32,
            inverse_temperature,
            choice.top_k.unwrap_or(0).max(1) as f32,
            choice.top_p.unwrap_or(1.0) as f32,
            choice.is_greedy(),
            choice.top_k.is_some(),
            choice.top_p.is_some(),
        );
    }
    ids
}

/// One row and what all its weights are relative to.
#[derive(CubeType)]
struct Row {
    /// Where its logits begin, and how far apart they lie.
    start: u32,
    stride: u32,
    vocab: u32,
    /// Its largest key.
    top: u32,
    inverse_temperature: f32,
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn sample_kernel(
    logits: &[u32],
    uniforms: &[f32],
    ids: &mut [u32],
    vocab: u32,
    row_stride: u32,
    stride: u32,
    inverse_temperature: f32,
    top_k: f32,
    top_p: f32,
    #[comptime] greedy: bool,
    #[comptime] has_top_k: bool,
    #[comptime] has_top_p: bool,
) {
    let start = CUBE_POS_X * row_stride;
    let top = largest_key(logits, start, stride, vocab);
    let row = Row { start, stride, vocab, top, inverse_temperature };
    // A number of each unit, then those of `GROUPS` units.
    let mut sums = Shared::<[f32]>::new_slice(272usize);
    // The lowest key that is kept.
    let mut lowest = 0u32;
    if comptime!(greedy) {
        lowest = top;
    }
    if comptime!(!greedy && has_top_k) {
        lowest = lowest_key(logits, &row, 0u32, top_k, false, &mut sums);
    }
    if comptime!(!greedy && has_top_p) {
        let goal = kept(logits, &row, lowest, true, &mut sums) * top_p;
        // The likeliest token, whose weight is 1, is always kept.
        lowest = lowest_key(logits, &row, lowest, select(goal > 1.0f32, goal, 1.0f32), true, &mut sums);
    }

    // From here on each unit has tokens that lie side by side.
    let share = vocab.div_ceil(WIDTH);
    let first = smaller(UNIT_POS_X * share, vocab);
    let end = smaller(first + share, vocab);
    let mut own = 0.0f32;
    for i in first..end {
        own += weight(logits[(start + i * stride) as usize], &row, lowest);
    }
    sums[UNIT_POS_X as usize] = own;
    sync_cube();
    let mut mass = 0.0f32;
    for i in 0..WIDTH {
        mass += sums[i as usize];
    }
    let mut point = 0.0f32;
    if comptime!(!greedy) {
        point = uniforms[CUBE_POS_X as usize] * mass;
    }
    // The last unit whose tokens begin at or before the point, and then the last of its tokens that does: rounding may
    // take the point to the end of them all, but never past a token that is kept.
    let mut unit = 0u32;
    let mut begin = 0.0f32;
    let mut sum = 0.0f32;
    for i in 0..WIDTH {
        let part = sums[i as usize];
        let reached = part > 0.0f32 && sum <= point;
        unit = select(reached, i, unit);
        begin = select(reached, sum, begin);
        sum += part;
    }
    if UNIT_POS_X == unit {
        let mut id = first;
        for i in first..end {
            let own = weight(logits[(start + i * stride) as usize], &row, lowest);
            id = select(own > 0.0f32 && begin <= point, i, id);
            begin += own;
        }
        ids[CUBE_POS_X as usize] = id;
    }
}

/// The highest key from which on the tokens reach `goal`, so many of them or `by_weight` so much weight; not below `lowest`.
#[cube]
fn lowest_key(
    logits: &[u32],
    row: &Row,
    lowest: u32,
    goal: f32,
    #[comptime] by_weight: bool,
    sums: &mut Shared<[f32]>,
) -> u32 {
    let mut found = 0u32;
    for bit in 0..32u32 {
        let tried = found | (1u32 << (31u32 - bit));
        let reached = kept(logits, row, larger(tried, lowest), by_weight, sums);
        found = select(tried <= row.top && reached >= goal, tried, found);
    }
    larger(found, lowest)
}

/// How many tokens have a key of at least `lowest`, or `by_weight` what their weights sum to.
#[cube]
fn kept(
    logits: &[u32],
    row: &Row,
    lowest: u32,
    #[comptime] by_weight: bool,
    sums: &mut Shared<[f32]>,
) -> f32 {
    let mut own = 0.0f32;
    for i in range_stepped(UNIT_POS_X, row.vocab, WIDTH) {
        let bits = logits[(row.start + i * row.stride) as usize];
        if comptime!(by_weight) {
            own += weight(bits, row, lowest);
        } else {
            own += select(key(bits) >= lowest, 1.0f32, 0.0f32);
        }
    }
    // In two steps. The sums of groups are written again only when all units have read them, since each has then come to the
    // first of the two barriers.
    sums[UNIT_POS_X as usize] = own;
    sync_cube();
    if UNIT_POS_X < GROUPS {
        let mut sum = 0.0f32;
        for i in 0..GROUPS {
            sum += sums[(UNIT_POS_X * GROUPS + i) as usize];
        }
        sums[(WIDTH + UNIT_POS_X) as usize] = sum;
    }
    sync_cube();
    let mut sum = 0.0f32;
    for i in 0..GROUPS {
        sum += sums[(WIDTH + i) as usize];
    }
    sum
}

#[cube]
fn largest_key(logits: &[u32], start: u32, stride: u32, vocab: u32) -> u32 {
    let mut own = 0u32;
    for i in range_stepped(UNIT_POS_X, vocab, WIDTH) {
        own = larger(own, key(logits[(start + i * stride) as usize]));
    }
    let mut keys = Shared::<[u32]>::new_slice(256usize);
    keys[UNIT_POS_X as usize] = own;
    sync_cube();
    let mut top = 0u32;
    for i in 0..WIDTH {
        top = larger(top, keys[i as usize]);
    }
    top
}

/// exp((logit − largest) / temperature), 0 of a token that is not kept. Infinities are told by their keys, since a GPU's
/// arithmetic need not know any.
#[cube]
fn weight(bits: u32, row: &Row, lowest: u32) -> f32 {
    let key = key(bits);
    let below = f32::reinterpret(bits) - logit(row.top);
    // From minus infinity, and what is not a number, comes nothing.
    let power = select(key > comptime!(ZERO - INFINITY), (below * row.inverse_temperature).exp(), 0.0f32);
    select(key < lowest, 0.0f32, select(key == row.top, 1.0f32, power))
}

/// The key of a logit: larger for a larger one, 0 for what is not a number.
#[cube]
fn key(bits: u32) -> u32 {
    let size = bits & 0x7fff_ffffu32;
    let key = select(bits >= ZERO, ZERO - size, ZERO + size);
    select(size > INFINITY, 0u32, key)
}

/// The logit of a key.
#[cube]
fn logit(key: u32) -> f32 {
    f32::reinterpret(select(key < ZERO, ZERO | (ZERO - key), key - ZERO))
}

#[cube]
fn smaller(a: u32, b: u32) -> u32 {
    select(a < b, a, b)
}

#[cube]
fn larger(a: u32, b: u32) -> u32 {
    select(a > b, a, b)
}
