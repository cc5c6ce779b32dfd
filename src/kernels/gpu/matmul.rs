//! Matrix products with register-blocked tiles. Workgroup memory is not used: software adapters
//! are slower with it, and the caches of real ones serve the tiles' neighbours.

use super::{Four, GpuTensor, MOST_GROUPS, UNITS, buffer, empty};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::{DType, Shape};
use cubecl::prelude::*;

/// `lhs·rhs`, or `None` where the sizes are no whole fours.
///
/// # Shapes
/// - lhs: `[..., m, k]`, rhs: `[..., k, n]`, of up to four dimensions, transposed or not
/// - output: `[..., m, n]`
pub fn product(lhs: &GpuTensor, rhs: &GpuTensor) -> Option<GpuTensor> {
    let (left, right) = (Side::of(lhs)?, Side::of(rhs)?);
    let mut shape = lhs.shape().to_vec();
    let rank = shape.len();
    let (m, k, n) = (shape[rank - 2], shape[rank - 1], rhs.shape()[rank - 1]);
    shape[rank - 1] = n;
    // What is read in fours along k has to end with a whole one.
    let along_k = !left.turned || right.turned;
    if n % 4 != 0 || (left.turned && m % 4 != 0) || (along_k && k % 4 != 0) || m * n * k == 0 {
        return None;
    }
    let batches: usize = shape[..rank - 2].iter().product();
    let inner_batch = if rank > 3 { shape[1] } else { 1 };
    let units = |tile: usize| m.div_ceil(tile) * n.div_ceil(tile);
    // Small products are spread over more units.
    let tile = if units(8) * batches < 512 { 4 } else { 8 };
    let groups = units(tile).div_ceil(UNITS as usize);
    if groups > MOST_GROUPS || batches > MOST_GROUPS {
        return None;
    }
    let output = empty(Shape::from(shape), lhs);
    // SAFETY: the kernel reads within the sizes and strides that both tensors have.
    unsafe {
        product_kernel::launch_unchecked(
            &lhs.client,
            CubeCount::Static(groups as u32, 1, batches as u32),
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
            tile,
        );
    }
    Some(output)
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

/// Each unit computes a tile of `tile_m` × `tile_n` sums in registers. `lhs` is `[m, k]` or, turned,
/// lies in memory as `[k, m]`; `rhs` is `[k, n]` or, turned, `[n, k]`. Lines and batches are given by
/// how many fours lie between them.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn product_kernel(
    lhs: &[Four],
    rhs: &[Four],
    output: &mut [Four],
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
    #[comptime] tile_m: usize,
    #[comptime] tile_n: usize,
) {
    let vectors_n = comptime!(tile_n / 4);
    let vectors_m = comptime!(tile_m / 4);
    let n4 = n / 4;
    let column_tiles = n4.div_ceil(vectors_n as u32);
    let unit = ABSOLUTE_POS_X;
    let row = unit / column_tiles * tile_m as u32;
    let column = unit % column_tiles * vectors_n as u32;
    if row < m {
        let batch = CUBE_POS_Z;
        let lhs_start = batch / inner_batch * lhs_outer + batch % inner_batch * lhs_inner;
        let rhs_start = batch / inner_batch * rhs_outer + batch % inner_batch * rhs_inner;
        let mut sums = Array::<Four>::new(comptime!(tile_m * vectors_n));
        #[unroll]
        for i in 0..tile_m * vectors_n {
            sums[i] = Four::new(0.0f32);
        }
        // Lines beyond the edge read the last one again; their sums are not stored.
        let mut lhs_at = Array::<u32>::new(tile_m);
        #[unroll]
        for i in 0..if comptime!(lhs_turned) { vectors_m } else { tile_m } {
            let wanted = if comptime!(lhs_turned) { row / 4 + i as u32 } else { row + i as u32 };
            let last = if comptime!(lhs_turned) { m / 4 - 1 } else { m - 1 };
            let line = select(wanted < last, wanted, last);
            lhs_at[i] = lhs_start + if comptime!(lhs_turned) { line } else { line * lhs_line };
        }
        let mut rhs_at = Array::<u32>::new(tile_n);
        #[unroll]
        for j in 0..if comptime!(rhs_turned) { tile_n } else { vectors_n } {
            let wanted = if comptime!(rhs_turned) { column * 4 + j as u32 } else { column + j as u32 };
            let last = if comptime!(rhs_turned) { n - 1 } else { n4 - 1 };
            let line = select(wanted < last, wanted, last);
            rhs_at[j] = rhs_start + if comptime!(rhs_turned) { line * rhs_line } else { line };
        }
        let depth = comptime!(if lhs_turned && !rhs_turned { 1usize } else { 4usize });
        let mut a = Array::<Four>::new(comptime!(if lhs_turned { vectors_m * depth } else { tile_m }));
        let mut b = Array::<Four>::new(comptime!(if rhs_turned { tile_n } else { 1usize }));
        for step in 0..k / depth as u32 {
            if comptime!(lhs_turned) {
                #[unroll]
                for c in 0..depth {
                    #[unroll]
                    for i in 0..vectors_m {
                        a[c * vectors_m + i] =
                            lhs[(lhs_at[i] + (step * depth as u32 + c as u32) * lhs_line) as usize];
                    }
                }
            } else {
                #[unroll]
                for i in 0..tile_m {
                    a[i] = lhs[(lhs_at[i] + step) as usize];
                }
            }
            if comptime!(rhs_turned) {
                #[unroll]
                for j in 0..tile_n {
                    b[j] = rhs[(rhs_at[j] + step) as usize];
                }
            }
            #[unroll]
            for c in 0..depth {
                #[unroll]
                for j in 0..vectors_n {
                    let mut four = Four::empty();
                    if comptime!(rhs_turned) {
                        #[unroll]
                        for l in 0..4 {
                            four.insert(l, b[j * 4 + l].extract(c));
                        }
                    } else {
                        four = rhs[(rhs_at[j] + (step * depth as u32 + c as u32) * rhs_line) as usize];
                    }
                    #[unroll]
                    for i in 0..tile_m {
                        let value = if comptime!(lhs_turned) {
                            a[c * vectors_m + i / 4].extract(i % 4)
                        } else {
                            a[i].extract(c)
                        };
                        sums[i * vectors_n + j] += Four::new(value) * four;
                    }
                }
            }
        }
        let output_start = batch * m * n4;
        #[unroll]
        for i in 0..tile_m {
            #[unroll]
            for j in 0..vectors_n {
                if row + (i as u32) < m && column + (j as u32) < n4 {
                    output[(output_start + (row + i as u32) * n4 + column + j as u32) as usize] =
                        sums[i * vectors_n + j];
                }
            }
        }
    }
}
