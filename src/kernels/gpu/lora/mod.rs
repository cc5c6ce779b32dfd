//! Frozen linear layers of one input with low-rank paths beside them: two dispatches forward, two backward, and of three
//! layers a third. A dispatch backward computes two products that do not need each other, side by side. No kernel has more
//! than seven tensors: with its numbers these are the eight storage buffers that every device has.

mod backward;
mod forward;

pub use backward::backward;
pub use forward::forward;

use super::matmul::add_product;
use super::{GpuTensor, MOST_GROUPS, UNITS, Vec4, buffer, is_aligned, on_software_adapter};
use crate::kernels::blocks::{BLOCK, Form};
use crate::kernels::lora::Stored;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl;
use cubecl::ir::features::TypeUsage;
use cubecl::ir::{ElemType, FloatKind, UIntKind};
use cubecl::prelude::*;

/// The most layers that share an input.
const MOST_PARTS: usize = 3;

/// The form of the blocks that each layer's weight is in; `None` for numbers.
type Forms = [Option<Form>; MOST_PARTS];

/// What a kernel reads a buffer as: numbers, four at a time, or words.
type Element = (ElemType, usize);

const NUMBERS: Element = (ElemType::Float(FloatKind::F32), 4);
const WORDS: Element = (ElemType::UInt(UIntKind::U32), 1);

/// The layers side by side in the output, and their places in memory.
struct Layers<'a> {
    weights: &'a [Stored<Wgpu>],
    /// First column of each layer in the output, and the number of columns.
    starts: Vec<usize>,
    /// Where each layer's `lora_a` begins in `lora`; `lora_b` follows. `None` without a low-rank path.
    places: Vec<Option<usize>>,
    tokens: usize,
    input: usize,
    /// 0 where no layer has a low-rank path.
    rank: usize,
    /// Low-rank columns of all layers together.
    low: usize,
}

impl<'a> Layers<'a> {
    fn of(
        x: &GpuTensor,
        weights: &'a [Stored<Wgpu>],
        lora: &GpuTensor,
        ranks: &[usize],
    ) -> Option<Layers<'a>> {
        let (tokens, input) = (x.shape()[0], x.shape()[1]);
        let rank = ranks.iter().copied().max()?;
        let alike = ranks.iter().all(|&r| r == 0 || r == rank);
        let suits = |weight: &Stored<Wgpu>| {
            let is_contiguous = match weight {
                Stored::Dense(weight) => is_aligned(weight),
                Stored::Blocks { .. } => true,
            };
            is_contiguous && weight.dims()[0].is_multiple_of(4)
        };
        let aligned = is_aligned(x) && is_aligned(lora) && weights.iter().all(suits);
        let in_blocks = weights.iter().filter(|weight| matches!(weight, Stored::Blocks { .. })).count();
        if !alike || !aligned || !rank.is_multiple_of(4) || tokens == 0 {
            return None;
        }
        if weights.is_empty() || weights.len() > MOST_PARTS || ![0, weights.len()].contains(&in_blocks) {
            return None;
        }
        let (mut starts, mut places, mut at) = (vec![0], Vec::new(), 0);
        for (weight, &rank) in weights.iter().zip(ranks) {
            let [out, _] = weight.dims();
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
        self.weights.iter().map(|weight| weight.dims()[0]).collect()
    }

    fn widths_and_rank(&self) -> Vec<usize> {
        self.widths().into_iter().chain([self.rank]).collect()
    }

    /// The buffer of a layer's weight; of a layer that is not there, the first one's.
    fn weight(&self, i: usize) -> BufferArg {
        match self.weights.get(i).unwrap_or(&self.weights[0]) {
            Stored::Dense(weight) => buffer(weight),
            Stored::Blocks { words, form, shape: [out, input] } => {
                let count = out * input / BLOCK * form.words();
                // SAFETY: that many words are there.
                unsafe { BufferArg::from_raw_parts(words.handle.clone(), count) }
            }
        }
    }

    fn forms(&self) -> Forms {
        [0, 1, 2].map(|i| match self.weights.get(i) {
            Some(Stored::Blocks { form, .. }) => Some(*form),
            _ => None,
        })
    }

    /// What `x·Wᵀ` is computed in.
    fn arithmetic(&self, x: &GpuTensor, fp16: bool) -> ElemType {
        let half = ElemType::Float(FloatKind::F16);
        let has_half = || x.client.properties().type_usage(half).contains(TypeUsage::Arithmetic);
        if fp16 && has_half() { half } else { NUMBERS.0 }
    }

    /// What the weights are read as.
    fn element(&self) -> Element {
        if self.forms()[0].is_some() { WORDS } else { NUMBERS }
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
    let (sides, wanted): (&[usize], usize) = if on_software_adapter() { (&[16, 8], 64) } else { (&[8], 512) };
    let fits = |tile: usize| all(tile) >= wanted && edges.iter().all(|edge| edge.is_multiple_of(tile));
    let tile = sides.iter().copied().find(|&tile| fits(tile)).unwrap_or(4);
    let groups = |product: &(usize, usize)| units(tile, *product).div_ceil(UNITS as usize);
    let groups = Groups { first: groups(&products[0]), all: products.iter().map(groups).sum() };
    (groups.all <= MOST_GROUPS).then_some((tile, groups))
}

/// Adds a tile of `lhs·W` or, turned, `lhs·Wᵀ` of one layer, whose weight is `[out, input]`. The rest as for
/// [`add_product`].
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn add_layer<W: Numeric, N: Size, L: Numeric, M: Size, H: Float>(
    sums: &mut Array<Vec4>,
    lhs: &[Vec4],
    w0: &[Vector<W, N>],
    w1: &[Vector<W, N>],
    w2: &[Vector<L, M>],
    row: u32,
    column: u32,
    m: u32,
    n: u32,
    k: u32,
    lhs_start: u32,
    lhs_line: u32,
    input: u32,
    #[comptime] forms: Forms,
    #[comptime] part: usize,
    #[comptime] turned: bool,
    #[comptime] tile: usize,
) {
    let form = comptime!(forms[part]);
    let line = if comptime!(form.is_some()) {
        input / 32u32 * comptime!(form.map_or(0, |form| form.words() as u32))
    } else {
        input / 4u32
    };
    if comptime!(part == 0) {
        add_product::<W, N, H>(
            sums, lhs, w0, row, column, m, n, k, lhs_start, lhs_line, 0u32, line, form, false, turned, tile,
        );
    } else if comptime!(part == 1) {
        add_product::<W, N, H>(
            sums, lhs, w1, row, column, m, n, k, lhs_start, lhs_line, 0u32, line, form, false, turned, tile,
        );
    } else {
        add_product::<L, M, H>(
            sums, lhs, w2, row, column, m, n, k, lhs_start, lhs_line, 0u32, line, form, false, turned, tile,
        );
    }
}
