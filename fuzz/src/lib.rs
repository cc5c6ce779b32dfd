//! What every fuzz target asserts beside "no panic": a bound on the memory that a reader takes.

#[path = "../../tests/support/readers.rs"]
pub mod readers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what is allocated now, and the most since the last reset.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a reader, which may take `times` the input and `beside` bytes, at its peak.
///
/// # Panics
/// It takes more.
pub fn within(times: usize, beside: usize, read: fn(&[u8]), bytes: &[u8]) {
    // The first call also makes what is made once: the small model, a tokenizer, regular expressions.
    thread_local! {
        static WARM: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    if !WARM.replace(true) {
        read(bytes);
    }
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    read(bytes);
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    assert!(
        taken <= times * bytes.len() + beside,
        "{taken} bytes were taken for {} bytes of input",
        bytes.len()
    );
}
