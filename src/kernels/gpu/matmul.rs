//! Matrix products with register-blocked tiles. Workgroup memory is not used: software adapters
//! are slower with it, and the caches of real ones serve the tiles' neighbours.

use super::blocks::four;
use super::{GpuTensor, MOST_GROUPS, UNITS, Vec4, buffer, empty, on_software_adapter};
use crate::kernels::blocks::Form;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl;
use burn::tensor::{DType, FloatDType, Shape, Slice};
use cubecl::prelude::*;

/// `lhs·rhs`. Sizes that are no whole fours are filled up with zeros.
///
/// # Shapes
/// - lhs: `[..., m, k]`, rhs: `[..., k, n]`, of two to four dimensions, transposed or not
/// - output: `[..., m, n]`
pub fn product(lhs: &GpuTensor, rhs: &GpuTensor) -> GpuTensor {
    if let Some(output) = aligned_product(lhs, rhs) {
        return output;
    }
    let rank = lhs.shape().num_dims();
    let (m, n) = (lhs.shape()[rank - 2], rhs.shape()[rank - 1]);
    let mut shape = lhs.shape();
    shape[rank - 1] = n;
    if shape.num_elements() == 0 || lhs.shape().num_elements() == 0 {
        return Wgpu::float_zeros(shape, &lhs.device(), FloatDType::F32);
    }
    let output = aligned_product(&pad(lhs), &pad(rhs)).expect("matrices of whole fours");
    let mut all = vec![Slice::from(..); rank];
    (all[rank - 2], all[rank - 1]) = (Slice::from(0..m), Slice::from(0..n));
    Wgpu::float_slice(output, &all)
}

/// The same matrices in order, with zeros up to whole fours.
fn pad(x: &GpuTensor) -> GpuTensor {
    let (rank, mut shape) = (x.shape().num_dims(), x.shape());
    let all: Vec<Slice> = shape.iter().map(|&size| Slice::from(0..size)).collect();
    for dim in [rank - 2, rank - 1] {
        shape[dim] = shape[dim].next_multiple_of(4);
    }
    let zeros = Wgpu::float_zeros(shape, &x.device(), FloatDType::F32);
    Wgpu::float_slice_assign(zeros, &all, x.clone())
}

/// `None` where the sizes are no whole fours.
fn aligned_product(lhs: &GpuTensor, rhs: &GpuTensor) -> Option<GpuTensor> {
    let (factors, mut shape) = (Factors::of(lhs, rhs)?, lhs.shape().to_vec());
    let rank = shape.len();
    shape[rank - 1] = factors.n;
    let batches: usize = shape[..rank - 2].iter().product();
    let inner_batch = if rank > 3 { shape[1] } else { 1 };
    let (tile, count) = tiles(factors.m, factors.n, batches)?;
    let output = empty(Shape::from(shape), lhs);
    let Factors { left, right, m, n, k } = factors;
    // SAFETY: the kernel reads within the sizes and strides that both tensors have.
    unsafe {
        product_kernel::launch_unchecked(
            &lhs.client,
            count,
            CubeDim::new_1d(UNITS),
            buffer(lhs),
            buffer(rhs),
            buffer(&output),
            m as u32,
            n as u32,
            k as u32,
            inner_batch as u32,
            left.line,
            left.inner,
            left.outer,
            right.line,
            right.inner,
            right.outer,
            left.turned,
            right.turned,
            tile,
        );
    }
    Some(output)
}

/// The side of a unit's tile, and how many workgroups it takes; `None` beyond the limits.
fn tiles(m: usize, n: usize, batches: usize) -> Option<(usize, CubeCount)> {
    let units = |tile: usize| m.div_ceil(tile) * n.div_ceil(tile);
    // Small products are workgroups over more units; a software adapter has few to feed.
    let (sides, wanted): (&[usize], usize) = if on_software_adapter() { (&[16, 8], 64) } else { (&[8], 512) };
    let wide_enough = |tile: usize| tile <= m.min(n).max(8) && units(tile) * batches >= wanted;
    let tile = sides.iter().copied().find(|&tile| wide_enough(tile)).unwrap_or(4);
    let groups = units(tile).div_ceil(UNITS as usize);
    let rows = groups.div_ceil(MOST_GROUPS).max(1);
    (batches <= MOST_GROUPS)
        .then_some((tile, CubeCount::Static(groups.div_ceil(rows) as u32, rows as u32, batches as u32)))
}

/// Two factors that the kernels take.
struct Factors {
    left: Side,
    right: Side,
    m: usize,
    n: usize,
    k: usize,
}

impl Factors {
    fn of(lhs: &GpuTensor, rhs: &GpuTensor) -> Option<Factors> {
        let (left, right) = (Side::of(lhs)?, Side::of(rhs)?);
        let rank = lhs.shape().num_dims();
        let (m, k, n) = (lhs.shape()[rank - 2], lhs.shape()[rank - 1], rhs.shape()[rank - 1]);
        // What is read in fours along k has to end with a whole one.
        let along_k = !left.turned || right.turned;
        if n % 4 != 0 || (left.turned && m % 4 != 0) || (along_k && k % 4 != 0) || m * n * k == 0 {
            return None;
        }
        Some(Factors { left, right, m, n, k })
    }
}

/// How the matrices of one factor lie in memory; distances in fours.
struct Side {
    /// Whether columns, not rows, lie in order.
    turned: bool,
    line: u32,
    inner: u32,
    outer: u32,
}

impl Side {
    fn of(x: &GpuTensor) -> Option<Side> {
        let (shape, strides) = (x.meta.shape(), x.meta.strides());
        let rank = shape.len();
        if x.dtype != DType::F32 || !(2..=4).contains(&rank) {
            return None;
        }
        let turned = strides[rank - 1] != 1;
        if turned && strides[rank - 2] != 1 {
            return None;
        }
        let fours = |dim: usize| match (shape[dim], strides[dim]) {
            (1, _) => Some(0),
            (_, stride) if stride % 4 == 0 => Some((stride / 4) as u32),
            _ => None,
        };
        Some(Side {
            turned,
            line: fours(if turned { rank - 1 } else { rank - 2 })?,
            inner: if rank > 3 { fours(1)? } else { 0 },
            outer: if rank > 2 { fours(0)? } else { 0 },
        })
    }
}

/// Each unit computes a tile of `tile` × `tile` sums in registers. Lines and batches are given by how many fours lie
/// between them.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn product_kernel(
    lhs: &[Vec4],
    rhs: &[Vec4],
    output: &mut [Vec4],
    m: u32,
    n: u32,
    k: u32,
    inner_batch: u32,
    lhs_line: u32,
    lhs_inner: u32,
    lhs_outer: u32,
    rhs_line: u32,
    rhs_inner: u32,
    rhs_outer: u32,
    #[comptime] lhs_turned: bool,
    #[comptime] rhs_turned: bool,
    #[comptime] tile: usize,
) {
    let column_tiles = n.div_ceil(tile as u32);
    let unit = ABSOLUTE_POS_X + CUBE_POS_Y * CUBE_COUNT_X * CUBE_DIM_X;
    let row = unit / column_tiles * tile as u32;
    let column = unit % column_tiles * comptime!(tile as u32 / 4);
    if row < m {
        let batch = CUBE_POS_Z;
        let lhs_start = batch / inner_batch * lhs_outer + batch % inner_batch * lhs_inner;
        let rhs_start = batch / inner_batch * rhs_outer + batch % inner_batch * rhs_inner;
        let mut sums = zeros(tile);
        add_product::<f32, Const<4>, f32>(
            &mut sums, lhs, rhs, row, column, m, n, k, lhs_start, lhs_line, rhs_start, rhs_line, None,
            lhs_turned, rhs_turned, tile,
        );
        store(&sums, output, 1.0f32, batch * m * (n / 4), n / 4, row, column, m, n / 4, tile);
    }
}

/// A tile of sums, each row's in fours.
#[cube]
pub(super) fn zeros(#[comptime] tile: usize) -> Array<Vec4> {
    let mut sums = Array::<Vec4>::new(comptime!(tile * tile / 4));
    #[unroll]
    for i in 0..tile * tile / 4 {
        sums[i] = Vec4::new(0.0f32);
    }
    sums
}

/// Adds a tile of `lhs·rhs`. `lhs` is `[m, k]` or, turned, lies in memory as `[k, m]`; `rhs` is `[k, n]` or, turned,
/// `[n, k]`. `row` counts numbers, `column` fours. With a form, `rhs` is in blocks of words, and `rhs_start` and `rhs_line`
/// count these. Products are of numbers of the type `H`, and summed up in 32 bits, four along k or one at a time.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
pub(super) fn add_product<W: Numeric, N: Size, H: Float>(
    sums: &mut Array<Vec4>,
    lhs: &[Vec4],
    rhs: &[Vector<W, N>],
    row: u32,
    column: u32,
    m: u32,
    n: u32,
    k: u32,
    lhs_start: u32,
    lhs_line: u32,
    rhs_start: u32,
    rhs_line: u32,
    #[comptime] form: Option<Form>,
    #[comptime] lhs_turned: bool,
    #[comptime] rhs_turned: bool,
    #[comptime] tile: usize,
) {
    let fours = comptime!(tile / 4);
    let n4 = n / 4;
    // Lines beyond the edge read the last one again; their sums are not stored.
    let mut lhs_at = Array::<u32>::new(tile);
    #[unroll]
    for i in 0..if comptime!(lhs_turned) { fours } else { tile } {
        let wanted = if comptime!(lhs_turned) { row / 4 + i as u32 } else { row + i as u32 };
        let last = if comptime!(lhs_turned) { m / 4 - 1 } else { m - 1 };
        let line = select(wanted < last, wanted, last);
        lhs_at[i] = lhs_start + if comptime!(lhs_turned) { line } else { line * lhs_line };
    }
    let mut rhs_at = Array::<u32>::new(tile);
    #[unroll]
    for j in 0..if comptime!(rhs_turned) { tile } else { fours } {
        let wanted = if comptime!(rhs_turned) { column * 4 + j as u32 } else { column + j as u32 };
        let last = if comptime!(rhs_turned) { n - 1 } else { n4 - 1 };
        let line = select(wanted < last, wanted, last);
        rhs_at[j] = if comptime!(rhs_turned) { rhs_start + line * rhs_line } else { line };
    }
    let depth = comptime!(if lhs_turned && !rhs_turned { 1usize } else { 4usize });
    let mut a = Array::<Vector<H, Const<4>>>::new(comptime!(if lhs_turned { fours * depth } else { tile }));
    let mut b = Array::<Vector<H, Const<4>>>::new(comptime!(if rhs_turned { tile } else { 1usize }));
    for step in 0..k / depth as u32 {
        if comptime!(lhs_turned) {
            #[unroll]
            for c in 0..depth {
                #[unroll]
                for i in 0..fours {
                    a[c * fours + i] = Vector::cast_from(
                        lhs[(lhs_at[i] + (step * depth as u32 + c as u32) * lhs_line) as usize],
                    );
                }
            }
        } else {
            #[unroll]
            for i in 0..tile {
                a[i] = Vector::cast_from(lhs[(lhs_at[i] + step) as usize]);
            }
        }
        if comptime!(rhs_turned) {
            #[unroll]
            for j in 0..tile {
                b[j] = Vector::cast_from(right(rhs, rhs_at[j], step, form));
            }
        }
        if comptime!(rhs_turned && !lhs_turned) {
            // Both lie along k: each sum grows by a dot product.
            #[unroll]
            for i in 0..tile {
                #[unroll]
                for j in 0..fours {
                    let mut four = Vec4::empty();
                    #[unroll]
                    for l in 0..4 {
                        four.insert(l, f32::cast_from(a[i].dot(b[j * 4 + l])));
                    }
                    sums[i * fours + j] += four;
                }
            }
        } else {
            #[unroll]
            for c in 0..depth {
                #[unroll]
                for j in 0..fours {
                    let mut four = Vector::<H, Const<4>>::empty();
                    if comptime!(rhs_turned) {
                        #[unroll]
                        for l in 0..4 {
                            four.insert(l, b[j * 4 + l].extract(c));
                        }
                    } else {
                        let line = rhs_start + (step * depth as u32 + c as u32) * rhs_line;
                        four = Vector::cast_from(right(rhs, line, rhs_at[j], form));
                    }
                    #[unroll]
                    for i in 0..tile {
                        let value = if comptime!(lhs_turned) {
                            a[c * fours + i / 4].extract(i % 4)
                        } else {
                            a[i].extract(c)
                        };
                        sums[i * fours + j] += Vec4::cast_from(Vector::<H, Const<4>>::new(value) * four);
                    }
                }
            }
        }
    }
}

/// Vec4 numbers of a line of the right factor.
#[cube]
fn right<W: Numeric, N: Size>(
    rhs: &[Vector<W, N>],
    line: u32,
    at: u32,
    #[comptime] form: Option<Form>,
) -> Vec4 {
    if comptime!(form.is_some()) {
        four(rhs, line, at, comptime!(form.unwrap()))
    } else {
        Vec4::cast_from(rhs[(line + at) as usize])
    }
}

/// Writes a tile's part that lies within the first `m` rows and `n4` fours of a row; rows are `line` fours apart.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
pub(super) fn store(
    sums: &Array<Vec4>,
    output: &mut [Vec4],
    scale: f32,
    start: u32,
    line: u32,
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
                output[(start + (row + i as u32) * line + column + j as u32) as usize] =
                    sums[i * fours + j] * Vec4::new(scale);
            }
        }
    }
}
