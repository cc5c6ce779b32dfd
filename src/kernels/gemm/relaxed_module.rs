//! The micro-kernel as a module of its own; `build.rs` compiles it with relaxed SIMD.
#![no_std]

mod micro_kernel;

/// See [`micro_kernel::micro_kernel`].
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn micro_kernel(
    k: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    row_stride: usize,
    panels: usize,
    accumulate: u32,
) {
    // SAFETY: the caller keeps the kernel's contract.
    unsafe { micro_kernel::micro_kernel(k, a, b, c, row_stride, panels, accumulate) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
