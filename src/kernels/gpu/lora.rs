//! Frozen linear layers of one input with low-rank paths beside them: two dispatches forward, two backward. A dispatch
//! backward computes two products that do not need each other, side by side.

use super::matmul::{add_product, store, zeros};
use super::{Four, GpuTensor, MOST_GROUPS, UNITS, buffer, empty, in_fours, in_software};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::{Shape, Slice};
use cubecl::prelude::*;

/// The most layers that share an input: more would not fit into eight buffers.
const MOST_PARTS: usize = 3;

/// The layers side by side in the output, and their places in memory.
struct Layers<'a> {
    weights: &'a [GpuTensor],
    /// First column of each layer in the output, and the number of columns.
    starts: Vec<usize>,
    /// Where each layer's `lora_a` begins in `lora`; `lora_b` follows. `None` without a low-rank path.
    places: Vec<Option<usize>>,
    tokens: usize,
    input: usize,
    rank: usize,
    /// Low-rank columns of all layers together.
    low: usize,
}

/// The output `[tokens, Σ out]` and `scale·x·Aᵀ` `[tokens, Σ rank]`; `None` where the sizes are no whole fours. The rest as
/// for [`crate::kernels::lora::lora_linears`].
pub fn forward(
    x: &GpuTensor,
    weights: &[GpuTensor],
    lora: &GpuTensor,
    residual: Option<&GpuTensor>,
    ranks: &[usize],
    scale: f32,
) -> Option<[GpuTensor; 2]> {
    let layers = Layers::of(x, weights, lora, ranks)?;
    if residual.is_some_and(|residual| !in_fours(residual)) {
        return None;
    }
    let low = empty(Shape::new([layers.tokens, layers.low]), x);
    let output = empty(Shape::new([layers.tokens, layers.width()]), x);
    let (low_tile, low_count) = tiles(&[(layers.tokens, layers.low)], &[layers.rank])?;
    let (tile, count) = tiles(&[(layers.tokens, layers.width())], &layers.widths())?;
    let [w0, w1, w2] = layers.three_weights();
    // SAFETY: the kernels read within the sizes that `Layers::of` checked and write all of their outputs.
    unsafe {
        low_kernel::launch_unchecked(
            &x.client,
            low_count.count(),
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
            low_tile,
        );
        output_kernel::launch_unchecked(
            &x.client,
            count.count(),
            CubeDim::new_1d(UNITS),
            buffer(x),
            buffer(w0),
            buffer(w1),
            buffer(w2),
            buffer(&low),
            buffer(lora),
            // Without a residual this is not read.
            buffer(residual.unwrap_or(x)),
            buffer(&output),
            layers.tokens as u32,
            layers.input as u32,
            layers.rank as u32,
            layers.starts(),
            layers.places(),
            layers.adapted(),
            residual.is_some(),
            tile,
        );
    }
    Some([output, low])
}

/// The gradient for x, unless it is not wanted, and for `lora`.
#[allow(clippy::too_many_arguments, reason = "they are what the forward pass had, and what it left")]
pub fn backward(
    x: &GpuTensor,
    weights: &[GpuTensor],
    lora: &GpuTensor,
    low: &GpuTensor,
    grad: &GpuTensor,
    ranks: &[usize],
    scale: f32,
    wants_x: bool,
) -> Option<(Option<GpuTensor>, GpuTensor)> {
    let layers = Layers::of(x, weights, lora, ranks)?;
    if !in_fours(low) || !in_fours(grad) {
        return None;
    }
    let (tokens, total) = (layers.tokens, lora.shape()[0]);
    // The gradient for `lora`, then that of x·Aᵀ, so that the second kernel has one buffer less.
    let gradients = empty(Shape::new([total + tokens * layers.low]), x);
    let for_x = empty(if wants_x { x.shape() } else { Shape::new([4]) }, x);
    let (low_tile, low_count) =
        tiles(&[(tokens, layers.low), (layers.width(), layers.rank)], &layers.widths_and_rank())?;
    let x_rows = if wants_x { tokens } else { 0 };
    let (tile, count) =
        tiles(&[(x_rows, layers.input), (layers.low, layers.input)], &[layers.rank, layers.input])?;
    let [w0, w1, w2] = layers.three_weights();
    // SAFETY: the kernels read within the sizes that `Layers::of` checked; each value is written once, and what
    // the second kernel reads of its output was written by the first.
    unsafe {
        low_backward_kernel::launch_unchecked(
            &x.client,
            low_count.count(),
            CubeDim::new_1d(UNITS),
            buffer(grad),
            buffer(low),
            buffer(lora),
            buffer(&gradients),
            scale,
            low_count.first as u32,
            (total / 4) as u32,
            tokens as u32,
            layers.input as u32,
            layers.rank as u32,
            layers.starts(),
            layers.places(),
            layers.adapted(),
            low_tile,
        );
        input_kernel::launch_unchecked(
            &x.client,
            count.count(),
            CubeDim::new_1d(UNITS),
            buffer(x),
            buffer(w0),
            buffer(w1),
            buffer(w2),
            buffer(grad),
            buffer(lora),
            buffer(&gradients),
            buffer(&for_x),
            count.first as u32,
            (total / 4) as u32,
            tokens as u32,
            layers.input as u32,
            layers.rank as u32,
            layers.starts(),
            layers.places(),
            layers.adapted(),
            tile,
        );
    }
    let for_lora = burn_slice(gradients, total);
    Some((wants_x.then_some(for_x), for_lora))
}

/// The first values of a vector.
fn burn_slice(x: GpuTensor, count: usize) -> GpuTensor {
    use burn::backend::ops::FloatTensorOps;
    burn::backend::Wgpu::float_slice(x, &[Slice::from(0..count)])
}

impl<'a> Layers<'a> {
    fn of(x: &GpuTensor, weights: &'a [GpuTensor], lora: &GpuTensor, ranks: &[usize]) -> Option<Layers<'a>> {
        let (tokens, input) = (x.shape()[0], x.shape()[1]);
        let rank = ranks.iter().copied().max().filter(|rank| *rank > 0)?;
        let alike = ranks.iter().all(|&r| r == 0 || r == rank);
        let lined_up = in_fours(x) && in_fours(lora) && weights.iter().all(in_fours);
        let whole = |weight: &GpuTensor| weight.shape()[0].is_multiple_of(4);
        if !alike || !lined_up || !weights.iter().all(whole) || !rank.is_multiple_of(4) || tokens == 0 {
            return None;
        }
        if weights.is_empty() || weights.len() > MOST_PARTS {
            return None;
        }
        let (mut starts, mut places, mut at) = (vec![0], Vec::new(), 0);
        for (weight, &rank) in weights.iter().zip(ranks) {
            let out = weight.shape()[0];
            starts.push(starts[starts.len() - 1] + out);
            places.push((rank > 0).then_some(at));
            at += rank * (input + out);
        }
        let low = ranks.iter().sum();
        Some(Layers { weights, starts, places, tokens, input, rank, low })
    }

    fn width(&self) -> usize {
        self.starts[self.weights.len()]
    }

    fn widths(&self) -> Vec<usize> {
        self.weights.iter().map(|weight| weight.shape()[0]).collect()
    }

    fn widths_and_rank(&self) -> Vec<usize> {
        self.widths().into_iter().chain([self.rank]).collect()
    }

    /// The buffers of three layers; where there are fewer, the first again.
    fn three_weights(&self) -> [&'a GpuTensor; 3] {
        [0, 1, 2].map(|i| self.weights.get(i).unwrap_or(&self.weights[0]))
    }

    /// In fours.
    fn starts(&self) -> SequenceArg<u32> {
        self.starts.iter().map(|start| (start / 4) as u32).collect()
    }

    /// In fours.
    fn places(&self) -> SequenceArg<u32> {
        self.places.iter().map(|place| (place.unwrap_or(0) / 4) as u32).collect()
    }

    /// Which layers have a low-rank path: a bit each.
    fn adapted(&self) -> u32 {
        self.places.iter().enumerate().map(|(i, place)| u32::from(place.is_some()) << i).sum()
    }
}

/// Workgroups for one product or two side by side.
struct Groups {
    first: usize,
    all: usize,
}

impl Groups {
    fn count(&self) -> CubeCount {
        CubeCount::Static(self.all as u32, 1, 1)
    }
}

/// The side of a unit's tile and the workgroups for products of these rows and columns. No tile may lie across a multiple
/// of any of `edges`.
fn tiles(products: &[(usize, usize)], edges: &[usize]) -> Option<(usize, Groups)> {
    let units = |tile: usize, (rows, columns): (usize, usize)| rows.div_ceil(tile) * columns.div_ceil(tile);
    let all = |tile: usize| products.iter().map(|&product| units(tile, product)).sum::<usize>();
    let (sides, wanted): (&[usize], usize) = if in_software() { (&[16, 8], 64) } else { (&[8], 512) };
    let fits = |tile: usize| all(tile) >= wanted && edges.iter().all(|edge| edge.is_multiple_of(tile));
    let tile = sides.iter().copied().find(|&tile| fits(tile)).unwrap_or(4);
    let groups = |product: &(usize, usize)| units(tile, *product).div_ceil(UNITS as usize);
    let groups = Groups { first: groups(&products[0]), all: products.iter().map(groups).sum() };
    (groups.all <= MOST_GROUPS).then_some((tile, groups))
}

/// `scale·x·Aᵀ` of each layer with a low-rank path, side by side.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn low_kernel(
    x: &[Four],
    lora: &[Four],
    low: &mut [Four],
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
        add_product(
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
            false,
            true,
            tile,
        );
        store(&sums, low, scale, 0u32, columns / 4, row, column / 4, tokens, columns / 4, tile);
    }
}

/// `x·Wᵀ + low·Bᵀ` of each layer, side by side, and the residual.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn output_kernel(
    x: &[Four],
    w0: &[Four],
    w1: &[Four],
    w2: &[Four],
    low: &[Four],
    lora: &[Four],
    residual: &[Four],
    output: &mut [Four],
    tokens: u32,
    input: u32,
    rank: u32,
    starts: Sequence<u32>,
    places: Sequence<u32>,
    #[comptime] adapted: u32,
    #[comptime] has_residual: bool,
    #[comptime] tile: usize,
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
            if comptime!(part == 0) {
                add_product(
                    &mut sums,
                    x,
                    w0,
                    row,
                    column - start,
                    tokens,
                    part_out,
                    k,
                    0u32,
                    input / 4,
                    0u32,
                    input / 4,
                    false,
                    true,
                    tile,
                );
            }
            if comptime!(part == 1) {
                add_product(
                    &mut sums,
                    x,
                    w1,
                    row,
                    column - start,
                    tokens,
                    part_out,
                    k,
                    0u32,
                    input / 4,
                    0u32,
                    input / 4,
                    false,
                    true,
                    tile,
                );
            }
            if comptime!(part == 2) {
                add_product(
                    &mut sums,
                    x,
                    w2,
                    row,
                    column - start,
                    tokens,
                    part_out,
                    k,
                    0u32,
                    input / 4,
                    0u32,
                    input / 4,
                    false,
                    true,
                    tile,
                );
            }
            if comptime!(adapted >> part & 1 == 1) {
                here = select(inside, column - start, here);
                out = select(inside, part_out, out);
                lora_b = select(inside, places[part] + rank * (input / 4), lora_b);
                low_column = select(inside, counted * (rank / 4), low_column);
                depth = select(inside, rank, depth);
                comptime!(counted += 1);
            }
        }
        let low_line = comptime!(adapted.count_ones()) * (rank / 4);
        add_product(
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
            false,
            true,
            tile,
        );
        if comptime!(has_residual) {
            add_lines(&mut sums, residual, row, column, tokens, width, tile);
        }
        store(&sums, output, 1.0f32, 0u32, width, row, column, tokens, width, tile);
    }
}

/// The gradient of x·Aᵀ, `scale·grad·B` of each layer, behind the gradient for `lora`; and, in the workgroups from `first`
/// on, the gradients for B, `gradᵀ·low`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn low_backward_kernel(
    grad: &[Four],
    low: &[Four],
    lora: &[Four],
    gradients: &mut [Four],
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
            add_product(
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
                add_product(
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

/// The gradient for x, Σ `grad·W + low_grad·A`; and, in the workgroups from `first` on, the gradients for A, `low_gradᵀ·x`.
/// The gradient of x·Aᵀ lies in `gradients` from `total` on.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn input_kernel(
    x: &[Four],
    w0: &[Four],
    w1: &[Four],
    w2: &[Four],
    grad: &[Four],
    lora: &[Four],
    gradients: &mut [Four],
    for_x: &mut [Four],
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
    let column_tiles = input.div_ceil(tile as u32);
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
                if comptime!(part == 0) {
                    add_product(
                        &mut sums,
                        grad,
                        w0,
                        row,
                        column,
                        tokens,
                        input,
                        out,
                        start,
                        width,
                        0u32,
                        input / 4,
                        false,
                        false,
                        tile,
                    );
                }
                if comptime!(part == 1) {
                    add_product(
                        &mut sums,
                        grad,
                        w1,
                        row,
                        column,
                        tokens,
                        input,
                        out,
                        start,
                        width,
                        0u32,
                        input / 4,
                        false,
                        false,
                        tile,
                    );
                }
                if comptime!(part == 2) {
                    add_product(
                        &mut sums,
                        grad,
                        w2,
                        row,
                        column,
                        tokens,
                        input,
                        out,
                        start,
                        width,
                        0u32,
                        input / 4,
                        false,
                        false,
                        tile,
                    );
                }
                if comptime!(adapted >> part & 1 == 1) {
                    add_product(
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
                        false,
                        false,
                        tile,
                    );
                    comptime!(counted += 1);
                }
            }
            store(&sums, for_x, 1.0f32, 0u32, input / 4, row, column, tokens, input / 4, tile);
        }
    } else {
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
            add_product(
                &mut sums,
                &*gradients,
                x,
                row,
                column,
                low_width * 4,
                input,
                tokens,
                total,
                low_width,
                0u32,
                input / 4,
                true,
                false,
                tile,
            );
            store(&sums, gradients, 1.0f32, place, input / 4, row % rank, column, rank, input / 4, tile);
        }
    }
}

/// Adds a tile of a matrix that lies in order.
#[cube]
fn add_lines(
    sums: &mut Array<Four>,
    x: &[Four],
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
                sums[i * fours + j] += x[((row + i as u32) * n4 + column + j as u32) as usize];
            }
        }
    }
}
