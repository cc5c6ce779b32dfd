//! Matrix products on one core with 128-bit SIMD: packed panels that stay in the caches
//! (<https://www.cs.utexas.edu/~flame/pubs/GotoTOMS_revision.pdf>), and a micro-kernel.

mod micro_kernel;
mod pack;

pub use micro_kernel::{MR, NR, micro_kernel};
use pack::pack;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// [`micro_kernel`] or another function that computes the same.
pub type MicroKernel = unsafe extern "C" fn(
    k: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    row_stride: usize,
    panels: usize,
    accumulate: u32,
);

/// A matrix within a slice.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub offset: usize,
    pub rows: usize,
    pub columns: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

/// Longest run of the summed dimension that is packed at once: a panel of b then has 20 KB and
/// stays in the first-level cache.
const LONGEST_K: usize = 320;
/// Rows of a that the micro-kernel goes through at once, a whole number of tiles: with the longest k, 640 KB.
const MOST_ROWS: usize = 512;

/// Multiplications from which on a product is worth a helper's while: about half a millisecond's work.
const LEAST_WORK: usize = 1 << 24;

/// Another thread that computes some columns of a product meanwhile.
pub struct Helper {
    /// Hands it the last columns of b and says how many, a whole number of panels; 0 where it has no room for them. It adds
    /// to the same columns of c, if there are any.
    pub start: fn(a: &Packed, b: &Matrix, c: Option<&Matrix>) -> usize,
    /// Waits for what was started, `[a's rows, columns]`; false where it does not answer.
    pub finish: fn(values: &mut [f32]) -> bool,
}

static FASTER: OnceLock<MicroKernel> = OnceLock::new();
static HELPER: OnceLock<Helper> = OnceLock::new();

/// Replaces the micro-kernel for all later products.
///
/// # Safety
/// `kernel` must compute what [`micro_kernel`] does, for as long as the program runs.
pub unsafe fn use_micro_kernel(kernel: MicroKernel) {
    let _ = FASTER.set(kernel);
}

/// From now on large products are shared with this helper. The sums are exactly the same: each is computed by one thread, in
/// the same order.
pub fn use_helper(helper: Helper) {
    let _ = HELPER.set(helper);
}

/// `c = a·b`.
///
/// # Shapes
/// - a: `[m, k]`
/// - b: `[k, n]`
/// - c: `[m, n]`, row by row
pub fn gemm(a: &Matrix, b: &Matrix, c: &mut [f32]) {
    gemm_into(a, b, c, b.columns, false);
}

/// `c += a·b`, with shapes as for [`gemm`].
pub fn gemm_add(a: &Matrix, b: &Matrix, c: &mut [f32]) {
    gemm_into(a, b, c, b.columns, true);
}

/// `c = a·b`, or `c += a·b`, where the rows of c begin `row_stride` apart.
///
/// # Shapes
/// - a: `[m, k]`
/// - b: `[k, n]`
/// - c: at least `(m - 1) * row_stride + n` values
pub fn gemm_into(a: &Matrix, b: &Matrix, c: &mut [f32], row_stride: usize, accumulate: bool) {
    Packed::new(a).gemm_into(b, c, row_stride, accumulate);
}

/// The left factor of products, as the micro-kernel reads it.
pub struct Packed {
    /// All panels of a run of k, from the first row to the last, run after run.
    pub panels: Vec<f32>,
    pub rows: usize,
    pub k: usize,
    /// No other has it.
    pub id: u32,
}

/// Numbers for [`Packed::id`].
static PACKED: AtomicU32 = AtomicU32::new(1);

impl Packed {
    pub fn new(a: &Matrix) -> Packed {
        let (rows, k) = (a.rows, a.columns);
        let mut panels = vec![0.0; rows.next_multiple_of(MR) * k];
        let turned = a.transposed();
        let mut rest = panels.as_mut_slice();
        for (first_k, depth) in runs(k) {
            for first_row in (0..rows).step_by(MR) {
                let panel;
                (panel, rest) = rest.split_at_mut(depth * MR);
                pack::<MR>(&turned, first_k, depth, first_row, panel);
            }
        }
        Packed { panels, rows, k, id: PACKED.fetch_add(1, Ordering::Relaxed) }
    }

    /// As [`gemm_into`].
    pub fn gemm_into(&self, b: &Matrix, c: &mut [f32], row_stride: usize, accumulate: bool) {
        let worth_it = self.rows * self.k * b.columns >= LEAST_WORK;
        let Some(helper) = HELPER.get().filter(|_| worth_it) else {
            return self.multiply(b, c, row_stride, accumulate);
        };
        let columns = b.columns;
        let before = Matrix { data: c, offset: 0, rows: self.rows, columns, row_stride, column_stride: 1 };
        let theirs = (helper.start)(self, b, accumulate.then_some(&before));
        let ours = b.columns - theirs;
        self.multiply(&b.some_columns(0, ours), c, row_stride, accumulate);
        if theirs == 0 {
            return;
        }
        let mut values = vec![0.0; self.rows * theirs];
        if !(helper.finish)(&mut values) {
            return self.multiply(&b.some_columns(ours, theirs), &mut c[ours..], row_stride, accumulate);
        }
        for (line, values) in c[ours..].chunks_mut(row_stride).zip(values.chunks_exact(theirs)) {
            line[..theirs].copy_from_slice(values);
        }
    }

    fn multiply(&self, b: &Matrix, c: &mut [f32], row_stride: usize, accumulate: bool) {
        let kernel = FASTER.get().copied().unwrap_or(micro_kernel);
        let (m, n, k) = (self.rows, b.columns, self.k);
        if m == 0 || n == 0 {
            return;
        }
        let fits = row_stride >= n && c.len() >= (m - 1) * row_stride + n;
        assert!(b.rows == k && fits, "[{m}, {k}] · [{}, {n}] into {} values", b.rows, c.len());
        if k == 0 {
            if !accumulate {
                c.chunks_mut(row_stride).take(m).for_each(|row| row[..n].fill(0.0));
            }
            return;
        }
        let all_rows = m.next_multiple_of(MR);
        let mut b_panel = vec![0.0; k.min(LONGEST_K) * NR];
        let mut edge = vec![0.0; all_rows.min(MOST_ROWS) * NR];
        for (first_k, depth) in runs(k) {
            let add = accumulate || first_k > 0;
            for first_row in (0..m).step_by(MOST_ROWS) {
                let rows = MOST_ROWS.min(m - first_row);
                let a = &self.panels[first_k * all_rows + first_row * depth..];
                for first_column in (0..n).step_by(NR) {
                    pack::<NR>(b, first_k, depth, first_column, &mut b_panel);
                    let columns = NR.min(n - first_column);
                    // Tiles that fit are written in place, those at the edges by way of a buffer.
                    let inside = if columns == NR { rows / MR } else { 0 };
                    let outside = rows.div_ceil(MR) - inside;
                    let c = &mut c[first_row * row_stride + first_column..];
                    // SAFETY: `a` has whole panels for all rows, `b_panel` one for all columns,
                    // `c` the rows of the tiles inside, `edge` room for all that are not.
                    unsafe {
                        let (at, add) = (c.as_mut_ptr(), u32::from(add));
                        kernel(depth, a.as_ptr(), b_panel.as_ptr(), at, row_stride, inside, add);
                        let a = a.as_ptr().add(inside * MR * depth);
                        kernel(depth, a, b_panel.as_ptr(), edge.as_mut_ptr(), NR, outside, 0);
                    }
                    for row in inside * MR..rows {
                        let line = &mut c[row * row_stride..][..columns];
                        for (value, sum) in line.iter_mut().zip(&edge[(row - inside * MR) * NR..]) {
                            *value = if add { *value + sum } else { *sum };
                        }
                    }
                }
            }
        }
    }
}

/// The right factor of a product as the micro-kernel reads it: of each run of k all panels, from the first column to the
/// last, which must fill their panels.
pub fn packed_columns(b: &Matrix) -> Vec<f32> {
    let mut panels = vec![0.0; b.rows * b.columns];
    let mut rest = panels.as_mut_slice();
    for (first_k, depth) in runs(b.rows) {
        for first_column in (0..b.columns).step_by(NR) {
            let panel;
            (panel, rest) = rest.split_at_mut(depth * NR);
            pack::<NR>(b, first_k, depth, first_column, panel);
        }
    }
    panels
}

/// The runs that the summed dimension is cut into: where each begins, and its length.
fn runs(k: usize) -> impl Iterator<Item = (usize, usize)> {
    let longest = longest_run(k);
    (0..k).step_by(longest).map(move |first| (first, longest.min(k - first)))
}

/// How long each of them is, but for the last.
pub fn longest_run(k: usize) -> usize {
    k.div_ceil(k.div_ceil(LONGEST_K).max(1)).max(1)
}

impl Matrix<'_> {
    pub fn some_columns(self, first: usize, count: usize) -> Self {
        Matrix { offset: self.offset + first * self.column_stride, columns: count, ..self }
    }

    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Products of odd shapes and layouts against the sum that defines them. Public, so that the
/// browser's tests run it there, with each micro-kernel.
///
/// # Errors
/// The first product that differs.
pub fn self_test() -> Result<(), String> {
    let values = |count: usize, seed: usize| -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    };
    for (m, n, k) in [(1, 1, 1), (4, 8, 3), (5, 9, 7), (13, 16, 321), (515, 7, 2), (6, 8, 700), (8, 33, 64)] {
        for (a_turned, b_turned) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a_values, b_values) = (values(m * k + 3, 1), values(k * n + 5, 2));
            let (a, b) = (matrix(&a_values, 3, m, k, a_turned), matrix(&b_values, 5, k, n, b_turned));
            let mut c = vec![f32::NAN; m * n];
            gemm(&a, &b, &mut c);
            // Added once more, each sum is twice its product, which halving makes exact again.
            gemm_add(&a, &b, &mut c);
            c.iter_mut().for_each(|value| *value *= 0.5);
            for (i, &got) in c.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let product = |j: usize| f64::from(at(&a, row, j)) * f64::from(at(&b, j, column));
                let expected: f64 = (0..k).map(product).sum();
                let difference = (f64::from(got) - expected).abs();
                // A NaN would pass a comparison alone.
                if difference.is_nan() || difference > 1e-6 * k as f64 + 1e-6 {
                    return Err(format!(
                        "[{m}, {k}] · [{k}, {n}] (transposed: {a_turned}, {b_turned}) has {got} at \
                         [{row}, {column}] where {expected} belongs"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn matrix(data: &[f32], offset: usize, rows: usize, columns: usize, turned: bool) -> Matrix<'_> {
    let (row_stride, column_stride) = if turned { (1, rows) } else { (columns, 1) };
    Matrix { data, offset, rows, columns, row_stride, column_stride }
}

fn at(matrix: &Matrix, row: usize, column: usize) -> f32 {
    matrix.data[matrix.offset + row * matrix.row_stride + column * matrix.column_stride]
}

#[cfg(test)]
mod tests {
    #[test]
    fn products_of_odd_shapes_are_their_definition() {
        super::self_test().unwrap();
    }
}
