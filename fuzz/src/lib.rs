//! What every fuzz target asserts beside "no panic": bounds on the memory that a reader takes, at once and altogether.

#[path = "../../tests/support/readers.rs"]
pub mod readers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what is allocated now, the most since the last reset, and the largest piece since then.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    LARGEST.fetch_max(bytes, Relaxed);
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

/// What a reader may take: `times` the input and `beside` bytes.
#[derive(Clone, Copy)]
pub struct Bound {
    pub times: usize,
    pub beside: usize,
}

impl Bound {
    fn holds(self, what: &str, taken: usize, bytes: &[u8]) {
        let Bound { times, beside } = self;
        let most = times * bytes.len() + beside;
        // A corpus's ratios, to see how near a bound is.
        if std::env::var_os("FUZZ_SHOW").is_some() {
            eprintln!("{what}: {taken} of {most} bytes for {} bytes of input", bytes.len());
        }
        assert!(
            taken <= most,
            "{what}: {taken} bytes were taken for {} bytes of input, at most {most}",
            bytes.len()
        );
    }
}

/// Runs a reader. Its largest allocation may be four times the input and `piece` bytes; all that it holds at its peak is bounded
/// by `peak`, which a tree of JSON or a table needs more for.
///
/// # Panics
/// It takes more.
pub fn within(piece: usize, peak: Bound, read: fn(&[u8]), bytes: &[u8]) {
    // The first call also makes what is made once: the small model, a tokenizer, regular expressions.
    thread_local! {
        static WARM: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    if !WARM.replace(true) {
        read(bytes);
    }
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    LARGEST.store(0, Relaxed);
    read(bytes);
    Bound { times: 4, beside: piece }.holds("the largest allocation", LARGEST.load(Relaxed), bytes);
    peak.holds("all allocations", PEAK.load(Relaxed).saturating_sub(before), bytes);
}
