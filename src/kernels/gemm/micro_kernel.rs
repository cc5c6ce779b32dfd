//! The innermost loop of a matrix product: two rows by sixteen columns held in registers.
//!
//! This file is compiled twice for the browser: into the crate, where a multiplication and an
//! addition are two instructions, and by `build.rs` with relaxed SIMD, where they are one.
//! Measured alone in Chromium 156 on one x86-64 core, GFLOP/s without and with (medians of three runs):
//! 2 × 16 has 34 and 53, 4 × 8 has 40 and 39, 3 × 12 has 28 and 42, 6 × 8 has 29 and 24.

/// Rows of a tile.
pub const MR: usize = 2;
/// Columns of a tile.
pub const NR: usize = 16;

/// `c = a·b`, or `c += a·b` where `accumulate` is not 0, for `panels` tiles below each other.
///
/// - a: `panels` blocks of `[k, MR]`
/// - b: `[k, NR]`
/// - c: `[panels * MR, NR]`, rows `row_stride` apart
///
/// # Safety
/// The pointers must be valid for these shapes, and `c` must not overlap the others.
#[inline]
pub unsafe extern "C" fn micro_kernel(
    k: usize,
    mut a: *const f32,
    b: *const f32,
    mut c: *mut f32,
    row_stride: usize,
    panels: usize,
    accumulate: u32,
) {
    for _ in 0..panels {
        // SAFETY: every address lies within the shapes that the caller promises.
        unsafe {
            let mut sums = [[splat(0.0); NR / 4]; MR];
            let mut b = b;
            for _ in 0..k {
                let columns: [_; NR / 4] = core::array::from_fn(|j| load(b.add(4 * j)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let value = splat(*a.add(i));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = multiply_add(value, column, *sum);
                    }
                }
                a = a.add(MR);
                b = b.add(NR);
            }
            for sums in sums {
                for (j, sum) in sums.into_iter().enumerate() {
                    let at = c.add(4 * j);
                    store(at, if accumulate != 0 { add(load(at), sum) } else { sum });
                }
                c = c.add(row_stride);
            }
        }
    }
}

#[cfg(target_arch = "wasm32")]
use wasm::*;

#[cfg(target_arch = "wasm32")]
mod wasm {
    #[cfg(target_feature = "relaxed-simd")]
    pub use core::arch::wasm32::f32x4_relaxed_madd as multiply_add;
    pub use core::arch::wasm32::{f32x4_add as add, f32x4_splat as splat};
    use core::arch::wasm32::{v128, v128_load, v128_store};

    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub fn multiply_add(a: v128, b: v128, c: v128) -> v128 {
        add(c, core::arch::wasm32::f32x4_mul(a, b))
    }

    #[inline(always)]
    pub unsafe fn load(at: *const f32) -> v128 {
        // SAFETY: the caller promises four values at `at`; wasm loads need no alignment.
        unsafe { v128_load(at.cast()) }
    }

    #[inline(always)]
    pub unsafe fn store(at: *mut f32, value: v128) {
        // SAFETY: the caller promises room for four values at `at`.
        unsafe { v128_store(at.cast(), value) }
    }
}

#[cfg(not(target_arch = "wasm32"))]
use portable::*;

/// What the tests on other machines run; products there go through burn's own kernels.
#[cfg(not(target_arch = "wasm32"))]
mod portable {
    pub fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    pub fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        core::array::from_fn(|i| a[i] + b[i])
    }

    pub fn multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        core::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    pub unsafe fn load(at: *const f32) -> [f32; 4] {
        // SAFETY: the caller promises four values at `at`.
        unsafe { at.cast::<[f32; 4]>().read_unaligned() }
    }

    pub unsafe fn store(at: *mut f32, value: [f32; 4]) {
        // SAFETY: the caller promises room for four values at `at`.
        unsafe { at.cast::<[f32; 4]>().write_unaligned(value) }
    }
}
