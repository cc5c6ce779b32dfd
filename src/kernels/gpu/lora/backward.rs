//! Backward: the gradients of the low-rank columns and of B, then those of the input and of A.

use super::{Forms, Layers, NUMBERS, add_layer, tiles};
use crate::kernels::gpu::matmul::{add_product, store, zeros};
use crate::kernels::gpu::{GpuTensor, UNITS, Vec4, buffer, empty, is_aligned};
use crate::kernels::lora::Stored;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl;
use burn::tensor::{Shape, Slice};
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// The gradient for x, unless it is not wanted, and for `lora`, in whose place it is as it was where no layer has a low-rank
/// path.
#[allow(clippy::too_many_arguments, reason = "they are what the forward pass had, and what it left")]
pub fn backward(
    x: &GpuTensor,
    weights: &[Stored<Wgpu>],
    lora: &GpuTensor,
    low: &GpuTensor,
    grad: &GpuTensor,
    ranks: &[usize],
    scale: f32,
    wants_x: bool,
) -> Option<(Option<GpuTensor>, GpuTensor)> {
    let layers = Layers::of(x, weights, lora, ranks)?;
    if !is_aligned(low) || !is_aligned(grad) {
        return None;
    }
    let has_paths = layers.rank > 0;
    let (tokens, total) = (layers.tokens, if has_paths { lora.shape()[0] } else { 0 });
    // The gradient for `lora`, then that of x·Aᵀ, so that the second kernel has one buffer less.
    let gradients = empty(Shape::new([(total + tokens * layers.low).max(4)]), x);
    let for_x = empty(if wants_x { x.shape() } else { Shape::new([4]) }, x);
    let x_rows = if wants_x { tokens } else { 0 };
    let (tile, count) =
        tiles(&[(x_rows, layers.input), (layers.low, layers.input)], &[layers.rank, layers.input])?;
    if has_paths {
        low_gradients(grad, low, lora, &gradients, &layers, scale)?;
    }
    // SAFETY: the kernel reads within the sizes that `Layers::of` checked; each value is written once, and what it reads of its
    // output was written before.
    unsafe {
        // Three weights leave no buffer for x.
        let apart = wants_x && weights.len() > 2;
        let launch = |with_input: bool, with_a: bool| {
            let first = if with_input { count.first } else { 0 };
            let groups = first + if with_a { count.all - count.first } else { 0 };
            let element = layers.element();
            let third = if with_a { NUMBERS } else { element };
            input_kernel::launch_unchecked(
                &x.client,
                CubeCount::Static(groups as u32, 1, 1),
                CubeDim::new_1d(UNITS),
                element.1,
                third.1,
                layers.weight(0),
                layers.weight(1),
                if with_a { buffer(x) } else { layers.weight(2) },
                buffer(grad),
                buffer(lora),
                buffer(&gradients),
                buffer(&for_x),
                first as u32,
                (total / 4) as u32,
                tokens as u32,
                layers.input as u32,
                layers.rank as u32,
                layers.starts(),
                layers.places(),
                layers.adapted(),
                layers.forms(),
                with_input,
                with_a,
                tile,
                [element.0, third.0],
            );
        };
        if apart || wants_x && !has_paths {
            launch(true, false);
        }
        if has_paths {
            launch(wants_x && !apart, true);
        }
    }
    if !has_paths {
        return Some((wants_x.then_some(for_x), lora.clone()));
    }
    let for_lora = Wgpu::float_slice(gradients, &[Slice::from(0..total)]);
    Some((wants_x.then_some(for_x), for_lora))
}

/// Writes the gradients of x·Aᵀ and for each B.
fn low_gradients(
    grad: &GpuTensor,
    low: &GpuTensor,
    lora: &GpuTensor,
    gradients: &GpuTensor,
    layers: &Layers,
    scale: f32,
) -> Option<()> {
    let products = [(layers.tokens, layers.low), (layers.width(), layers.rank)];
    let (tile, count) = tiles(&products, &layers.widths_and_rank())?;
    // SAFETY: the kernel reads within the sizes that `Layers::of` checked; each value is written once.
    unsafe {
        low_backward_kernel::launch_unchecked(
            &grad.client,
            count.count(),
            CubeDim::new_1d(UNITS),
            buffer(grad),
            buffer(low),
            buffer(lora),
            buffer(gradients),
            scale,
            count.first as u32,
            (lora.shape()[0] / 4) as u32,
            layers.tokens as u32,
            layers.input as u32,
            layers.rank as u32,
            layers.starts(),
            layers.places(),
            layers.adapted(),
            tile,
        );
    }
    Some(())
}

/// The gradient of x·Aᵀ, `scale·grad·B` of each layer, behind the gradient for `lora`; and, in the workgroups from `first`
/// on, the gradients for B, `gradᵀ·low`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn low_backward_kernel(
    grad: &[Vec4],
    low: &[Vec4],
    lora: &[Vec4],
    gradients: &mut [Vec4],
    scale: f32,
    first: u32,
    total: u32,
    tokens: u32,
    input: u32,
    rank: u32,
    starts: Sequence<u32>,
    places: Sequence<u32>,
    #[comptime] adapted: u32,
    #[comptime] tile: usize,
) {
    let parts = comptime!(places.len());
    let width = starts[parts];
    let low_width = comptime!(adapted.count_ones()) * (rank / 4);
    let side = tile as u32;
    let of_a = rank * (input / 4);
    if CUBE_POS_X < first {
        let column_tiles = (low_width * 4).div_ceil(side);
        let row = ABSOLUTE_POS_X / column_tiles * side;
        let column = ABSOLUTE_POS_X % column_tiles * side;
        if row < tokens {
            let mut start = 0u32;
            let mut out = 0u32;
            let mut lora_b = 0u32;
            let mut counted = comptime!(0u32);
            #[unroll]
            for part in 0..parts {
                if comptime!(adapted >> part & 1 == 1) {
                    let mine = column / rank == counted;
                    start = select(mine, starts[part], start);
                    out = select(mine, (starts[part + 1] - starts[part]) * 4, out);
                    lora_b = select(mine, places[part] + of_a, lora_b);
                    comptime!(counted += 1);
                }
            }
            let mut sums = zeros(tile);
            add_product::<f32, Const<4>, f32>(
                &mut sums,
                grad,
                lora,
                row,
                column % rank / 4,
                tokens,
                rank,
                out,
                start,
                width,
                lora_b,
                rank / 4,
                None,
                false,
                false,
                tile,
            );
            store(&sums, gradients, scale, total, low_width, row, column / 4, tokens, low_width, tile);
        }
    } else {
        let column_tiles = rank.div_ceil(side);
        let unit = ABSOLUTE_POS_X - first * UNITS;
        let row = unit / column_tiles * side;
        let column = unit % column_tiles * comptime!(tile as u32 / 4);
        if row < width * 4 {
            let mut start = 0u32;
            let mut end = 0u32;
            let mut lora_b = 0u32;
            let mut low_column = 0u32;
            let mut counted = comptime!(0u32);
            #[unroll]
            for part in 0..parts {
                if comptime!(adapted >> part & 1 == 1) {
                    let mine = row / 4 >= starts[part] && row / 4 < starts[part + 1];
                    start = select(mine, starts[part] * 4, start);
                    end = select(mine, starts[part + 1] * 4, end);
                    lora_b = select(mine, places[part] + of_a, lora_b);
                    low_column = select(mine, counted * (rank / 4), low_column);
                    comptime!(counted += 1);
                }
            }
            // The rows of a layer without a low-rank path have no place to go.
            if end > 0 {
                let mut sums = zeros(tile);
                add_product::<f32, Const<4>, f32>(
                    &mut sums,
                    grad,
                    low,
                    row,
                    column,
                    width * 4,
                    rank,
                    tokens,
                    0u32,
                    width,
                    low_column,
                    low_width,
                    None,
                    true,
                    false,
                    tile,
                );
                store(
                    &sums,
                    gradients,
                    1.0f32,
                    lora_b,
                    rank / 4,
                    row - start,
                    column,
                    end - start,
                    rank / 4,
                    tile,
                );
            }
        }
    }
}

/// The gradient for x, Σ `grad·W + low_grad·A`; and, in the workgroups from `first` on, the gradients for A, `low_gradᵀ·x`, for
/// which the third buffer is x, not a weight. The gradient of x·Aᵀ lies in `gradients` from `total` on.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
#[allow(clippy::collapsible_if, reason = "what is known at compile time is asked apart")]
fn input_kernel<W: Numeric, N: Size, L: Numeric, M: Size>(
    w0: &[Vector<W, N>],
    w1: &[Vector<W, N>],
    w2_or_x: &[Vector<L, M>],
    grad: &[Vec4],
    lora: &[Vec4],
    gradients: &mut [Vec4],
    for_x: &mut [Vec4],
    first: u32,
    total: u32,
    tokens: u32,
    input: u32,
    rank: u32,
    starts: Sequence<u32>,
    places: Sequence<u32>,
    #[comptime] adapted: u32,
    #[comptime] forms: Forms,
    #[comptime] with_input: bool,
    #[comptime] with_a: bool,
    #[comptime] tile: usize,
    #[define(W, L)] _elements: [ElemType; 2],
) {
    let parts = comptime!(places.len());
    let width = starts[parts];
    let low_width = comptime!(adapted.count_ones()) * (rank / 4);
    let column_tiles = input.div_ceil(tile as u32);
    if comptime!(with_input) {
        if CUBE_POS_X < first {
            let row = ABSOLUTE_POS_X / column_tiles * tile as u32;
            let column = ABSOLUTE_POS_X % column_tiles * comptime!(tile as u32 / 4);
            if row < tokens {
                let mut sums = zeros(tile);
                let mut counted = comptime!(0u32);
                #[unroll]
                for part in 0..parts {
                    let start = starts[part];
                    let out = (starts[part + 1] - start) * 4;
                    add_layer::<W, N, L, M, f32>(
                        &mut sums, grad, w0, w1, w2_or_x, row, column, tokens, input, out, start, width,
                        input, forms, part, false, tile,
                    );
                    if comptime!(adapted >> part & 1 == 1) {
                        add_product::<f32, Const<4>, f32>(
                            &mut sums,
                            &*gradients,
                            lora,
                            row,
                            column,
                            tokens,
                            input,
                            rank,
                            total + counted * (rank / 4),
                            low_width,
                            places[part],
                            input / 4,
                            None,
                            false,
                            false,
                            tile,
                        );
                        comptime!(counted += 1);
                    }
                }
                store(&sums, for_x, 1.0f32, 0u32, input / 4, row, column, tokens, input / 4, tile);
            }
        }
    }
    if comptime!(with_a) {
        if CUBE_POS_X >= first {
            let unit = ABSOLUTE_POS_X - first * UNITS;
            let row = unit / column_tiles * tile as u32;
            let column = unit % column_tiles * comptime!(tile as u32 / 4);
            if row < low_width * 4 {
                let mut place = 0u32;
                let mut counted = comptime!(0u32);
                #[unroll]
                for part in 0..parts {
                    if comptime!(adapted >> part & 1 == 1) {
                        place = select(row / rank == counted, places[part], place);
                        comptime!(counted += 1);
                    }
                }
                let mut sums = zeros(tile);
                add_product::<L, M, f32>(
                    &mut sums,
                    &*gradients,
                    w2_or_x,
                    row,
                    column,
                    low_width * 4,
                    input,
                    tokens,
                    total,
                    low_width,
                    0u32,
                    input / 4,
                    None,
                    true,
                    false,
                    tile,
                );
                store(&sums, gradients, 1.0f32, place, input / 4, row % rank, column, rank, input / 4, tile);
            }
        }
    }
}
