//! Forward: the low-rank columns of all layers, then their outputs.

use super::{Forms, Layers, NUMBERS, add_layer, tiles};
use crate::kernels::gpu::matmul::{add_product, store, zeros};
use crate::kernels::gpu::{GpuTensor, UNITS, Vec4, buffer, empty, is_aligned};
use crate::kernels::lora::Stored;
use burn::backend::Wgpu;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// The output `[tokens, Σ out]` and `scale·x·Aᵀ` `[tokens, Σ rank]`, in whose place x is where no layer has a low-rank path;
/// `None` where the sizes are no whole fours. The rest as for [`crate::kernels::lora::lora_linears`].
pub fn forward(
    x: &GpuTensor,
    weights: &[Stored<Wgpu>],
    lora: &GpuTensor,
    residual: Option<&GpuTensor>,
    ranks: &[usize],
    scale: f32,
    fp16: bool,
) -> Option<[GpuTensor; 2]> {
    let layers = Layers::of(x, weights, lora, ranks)?;
    if residual.is_some_and(|residual| !is_aligned(residual) || weights.len() > 1) {
        return None;
    }
    let output = empty(Shape::new([layers.tokens, layers.width()]), x);
    let low = match layers.rank {
        0 => x.clone(),
        _ => low_columns(x, lora, &layers, scale)?,
    };
    let (tile, count) = tiles(&[(layers.tokens, layers.width())], &layers.widths())?;
    let element = layers.element();
    // A single layer may have a residual, whose place is the third weight's.
    let third = if residual.is_some() { NUMBERS } else { element };
    // SAFETY: the kernel reads within the sizes that `Layers::of` checked and writes all of its output.
    unsafe {
        output_kernel::launch_unchecked(
            &x.client,
            count.count(),
            CubeDim::new_1d(UNITS),
            element.1,
            third.1,
            buffer(x),
            layers.weight(0),
            layers.weight(1),
            residual.map_or_else(|| layers.weight(2), buffer),
            buffer(&low),
            buffer(lora),
            buffer(&output),
            layers.tokens as u32,
            layers.input as u32,
            layers.rank as u32,
            layers.starts(),
            layers.places(),
            layers.adapted(),
            layers.forms(),
            residual.is_some(),
            tile,
            [element.0, third.0, layers.arithmetic(x, fp16)],
        );
    }
    Some([output, low])
}

/// `scale·x·Aᵀ`: `[tokens, Σ rank]`
fn low_columns(x: &GpuTensor, lora: &GpuTensor, layers: &Layers, scale: f32) -> Option<GpuTensor> {
    let low = empty(Shape::new([layers.tokens, layers.low]), x);
    let (tile, count) = tiles(&[(layers.tokens, layers.low)], &[layers.rank])?;
    // SAFETY: the kernel reads within the sizes that `Layers::of` checked and writes all of its output.
    unsafe {
        low_kernel::launch_unchecked(
            &x.client,
            count.count(),
            CubeDim::new_1d(UNITS),
            buffer(x),
            buffer(lora),
            buffer(&low),
            scale,
            layers.tokens as u32,
            layers.input as u32,
            layers.rank as u32,
            layers.places(),
            layers.adapted(),
            tile,
        );
    }
    Some(low)
}

/// `scale·x·Aᵀ` of each layer with a low-rank path, side by side.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn low_kernel(
    x: &[Vec4],
    lora: &[Vec4],
    low: &mut [Vec4],
    scale: f32,
    tokens: u32,
    input: u32,
    rank: u32,
    places: Sequence<u32>,
    #[comptime] adapted: u32,
    #[comptime] tile: usize,
) {
    let parts = comptime!(places.len());
    let columns = rank * comptime!(adapted.count_ones());
    let column_tiles = columns.div_ceil(tile as u32);
    let row = ABSOLUTE_POS_X / column_tiles * tile as u32;
    let column = ABSOLUTE_POS_X % column_tiles * tile as u32;
    if row < tokens {
        let mut place = 0u32;
        let mut counted = comptime!(0u32);
        #[unroll]
        for part in 0..parts {
            if comptime!(adapted >> part & 1 == 1) {
                place = select(column / rank == counted, places[part], place);
                comptime!(counted += 1);
            }
        }
        let mut sums = zeros(tile);
        add_product::<f32, Const<4>, f32>(
            &mut sums,
            x,
            lora,
            row,
            column % rank / 4,
            tokens,
            rank,
            input,
            0u32,
            input / 4,
            place,
            input / 4,
            None,
            false,
            true,
            tile,
        );
        store(&sums, low, scale, 0u32, columns / 4, row, column / 4, tokens, columns / 4, tile);
    }
}

/// `x·Wᵀ + low·Bᵀ` of each layer, side by side; of a single layer with the residual, which is then in `w2`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn output_kernel<W: Numeric, N: Size, L: Numeric, M: Size, H: Float>(
    x: &[Vec4],
    w0: &[Vector<W, N>],
    w1: &[Vector<W, N>],
    w2: &[Vector<L, M>],
    low: &[Vec4],
    lora: &[Vec4],
    output: &mut [Vec4],
    tokens: u32,
    input: u32,
    rank: u32,
    starts: Sequence<u32>,
    places: Sequence<u32>,
    #[comptime] adapted: u32,
    #[comptime] forms: Forms,
    #[comptime] has_residual: bool,
    #[comptime] tile: usize,
    #[define(W, L, H)] _elements: [ElemType; 3],
) {
    let parts = comptime!(places.len());
    let width = starts[parts];
    let column_tiles = (width * 4).div_ceil(tile as u32);
    let row = ABSOLUTE_POS_X / column_tiles * tile as u32;
    let column = ABSOLUTE_POS_X % column_tiles * comptime!(tile as u32 / 4);
    if row < tokens {
        let mut sums = zeros(tile);
        let mut here = 0u32;
        let mut out = 4u32;
        let mut lora_b = 0u32;
        let mut low_column = 0u32;
        let mut depth = 0u32;
        let mut counted = comptime!(0u32);
        #[unroll]
        for part in 0..parts {
            let start = starts[part];
            let end = starts[part + 1];
            let inside = column >= start && column < end;
            let part_out = (end - start) * 4;
            let k = select(inside, input, 0u32);
            add_layer::<W, N, L, M, H>(
                &mut sums,
                x,
                w0,
                w1,
                w2,
                row,
                column - start,
                tokens,
                part_out,
                k,
                0u32,
                input / 4,
                input,
                forms,
                part,
                true,
                tile,
            );
            if comptime!(adapted >> part & 1 == 1) {
                here = select(inside, column - start, here);
                out = select(inside, part_out, out);
                lora_b = select(inside, places[part] + rank * (input / 4), lora_b);
                low_column = select(inside, counted * (rank / 4), low_column);
                depth = select(inside, rank, depth);
                comptime!(counted += 1);
            }
        }
        if comptime!(adapted > 0) {
            let low_line = comptime!(adapted.count_ones()) * (rank / 4);
            add_product::<f32, Const<4>, f32>(
                &mut sums,
                low,
                lora,
                row,
                here,
                tokens,
                out,
                depth,
                low_column,
                low_line,
                lora_b,
                rank / 4,
                None,
                false,
                true,
                tile,
            );
        }
        if comptime!(has_residual) {
            add_lines(&mut sums, w2, row, column, tokens, width, tile);
        }
        store(&sums, output, 1.0f32, 0u32, width, row, column, tokens, width, tile);
    }
}

/// Adds a tile of a matrix that lies in order.
#[cube]
fn add_lines<L: Numeric, M: Size>(
    sums: &mut Array<Vec4>,
    x: &[Vector<L, M>],
    row: u32,
    column: u32,
    m: u32,
    n4: u32,
    #[comptime] tile: usize,
) {
    let fours = comptime!(tile / 4);
    #[unroll]
    for i in 0..tile {
        #[unroll]
        for j in 0..fours {
            if row + (i as u32) < m && column + (j as u32) < n4 {
                let at = (row + i as u32) * n4 + column + j as u32;
                sums[i * fours + j] += Vec4::cast_from(x[at as usize]);
            }
        }
    }
}
