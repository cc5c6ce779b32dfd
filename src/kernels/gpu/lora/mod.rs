//! Frozen linear layers of one input with low-rank paths beside them: two dispatches forward, two backward. A dispatch
//! backward computes two products that do not need each other, side by side.

mod backward;
mod forward;

pub use backward::backward;
pub use forward::forward;

use super::matmul::add_product;
use super::{Four, GpuTensor, MOST_GROUPS, UNITS, in_fours, in_software};
use burn::backend::TensorMetadata;
use burn::cubecl;
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

/// Adds a tile of `lhs·W` or, turned, `lhs·Wᵀ` of one layer, whose rows are `line` fours wide. The rest as for
/// [`add_product`].
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn add_layer(
    sums: &mut Array<Four>,
    lhs: &[Four],
    w0: &[Four],
    w1: &[Four],
    w2: &[Four],
    row: u32,
    column: u32,
    m: u32,
    n: u32,
    k: u32,
    lhs_start: u32,
    lhs_line: u32,
    line: u32,
    #[comptime] part: usize,
    #[comptime] turned: bool,
    #[comptime] tile: usize,
) {
    if comptime!(part == 0) {
        add_product(
            sums, lhs, w0, row, column, m, n, k, lhs_start, lhs_line, 0u32, line, false, turned, tile,
        );
    } else if comptime!(part == 1) {
        add_product(
            sums, lhs, w1, row, column, m, n, k, lhs_start, lhs_line, 0u32, line, false, turned, tile,
        );
    } else {
        add_product(
            sums, lhs, w2, row, column, m, n, k, lhs_start, lhs_line, 0u32, line, false, turned, tile,
        );
    }
}
