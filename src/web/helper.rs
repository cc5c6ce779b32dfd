//! A second worker that computes a part of each large matrix product, on a page that may share memory with its workers
//! (<https://developer.mozilla.org/docs/Web/API/Window/crossOriginIsolated>). `www/src/engine/worker/helper.ts` is its other side.
//!
//! What it works on is copied into the shared memory and back: wasm that is built without threads has a memory of its own.

use super::relaxed;
use crate::kernels::gemm::{Helper, MR, Matrix, NR, Packed, longest_run, packed_columns, use_helper};
use js_sys::{Atomics, Float32Array, Int32Array, SharedArrayBuffer, Uint8Array};
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;

/// Where the shared memory has what, as 32-bit numbers; the rest, from `VALUES` on, are a's panels, b's and the product.
const STATE: u32 = 0;
const ROWS: u32 = 1;
const K: u32 = 2;
const LONGEST_RUN: u32 = 3;
const COLUMNS: u32 = 4;
const NEW_A: u32 = 5;
const TILE_ROWS: u32 = 6;
const TILE_COLUMNS: u32 = 7;
const ACCUMULATE: u32 = 8;
const VALUES: u32 = 16;

/// What `STATE` is while the helper works; else 0.
const AT_WORK: i32 = 1;

/// Milliseconds after which the helper is given up: it has gone, or the browser has put it to sleep.
const PATIENCE: f64 = 10_000.0;

struct Shared {
    control: Int32Array,
    values: Float32Array,
    /// The left factor that lies there.
    a: Cell<u32>,
    /// Where the product that is being computed begins.
    product: Cell<u32>,
    is_lost: Cell<bool>,
}

thread_local! {
    static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// The micro-kernel that the helper computes with, as a module; empty where the browser cannot run it.
#[wasm_bindgen]
pub fn micro_kernel_module() -> Result<Vec<u8>, JsValue> {
    let bytes = Uint8Array::from(relaxed::MODULE);
    Ok(if js_sys::WebAssembly::validate(&bytes)? { relaxed::MODULE.to_vec() } else { Vec::new() })
}

/// Shares large products with the worker that waits at this memory.
#[wasm_bindgen]
pub fn share_products(memory: SharedArrayBuffer) {
    let values = Float32Array::new(&memory).subarray(VALUES, memory.byte_length() / 4);
    let shared = Shared {
        control: Int32Array::new(&memory),
        values,
        a: Cell::new(0),
        product: Cell::new(0),
        is_lost: Cell::new(false),
    };
    SHARED.with(|slot| slot.replace(Some(shared)));
    use_helper(Helper { start, finish });
}

/// Bytes that the helper works in: the shared memory, and as much of its own. 0 where no products are shared.
pub fn bytes() -> u64 {
    let numbers = SHARED.with(|slot| slot.borrow().as_ref().map_or(0, |shared| shared.control.length()));
    2 * 4 * u64::from(numbers)
}

fn start(a: &Packed, b: &Matrix, c: Option<&Matrix>) -> usize {
    SHARED.with(|slot| slot.borrow().as_ref().and_then(|shared| shared.start(a, b, c))).unwrap_or(0)
}

fn finish(values: &mut [f32]) -> bool {
    SHARED.with(|slot| slot.borrow().as_ref().is_some_and(|shared| shared.finish(values)))
}

impl Shared {
    fn start(&self, a: &Packed, b: &Matrix, c: Option<&Matrix>) -> Option<usize> {
        if self.is_lost.get() {
            return None;
        }
        let rows = a.rows.next_multiple_of(MR);
        let room = (self.values.length() as usize).checked_sub(a.panels.len())? / (a.k + rows);
        let columns = (b.columns / 2).min(room) / NR * NR;
        if columns == 0 {
            return None;
        }
        let first = b.columns - columns;
        let b = packed_columns(&b.some_columns(first, columns));
        let (for_b, product) = (a.panels.len() as u32, (a.panels.len() + b.len()) as u32);
        let is_new = self.a.replace(a.id) != a.id;
        if is_new {
            self.values.subarray(0, for_b).copy_from(&a.panels);
        }
        self.values.subarray(for_b, product).copy_from(&b);
        if let Some(c) = c {
            let lines = c.data.chunks(c.row_stride).take(c.rows);
            let values: Vec<f32> = lines.flat_map(|line| &line[first..][..columns]).copied().collect();
            self.values.subarray(product, product + values.len() as u32).copy_from(&values);
        }
        self.product.set(product);
        for (place, value) in [
            (ROWS, rows),
            (K, a.k),
            (LONGEST_RUN, longest_run(a.k)),
            (COLUMNS, columns),
            (NEW_A, usize::from(is_new)),
            (TILE_ROWS, MR),
            (TILE_COLUMNS, NR),
            (ACCUMULATE, usize::from(c.is_some())),
        ] {
            self.control.set_index(place, value as i32);
        }
        Atomics::store(&self.control, STATE, AT_WORK).ok()?;
        Atomics::notify(&self.control, STATE).ok()?;
        Some(columns)
    }

    fn finish(&self, values: &mut [f32]) -> bool {
        let waited = Atomics::wait_with_timeout(&self.control, STATE, AT_WORK, PATIENCE);
        if !waited.is_ok_and(|how| how != "timed-out") {
            self.is_lost.set(true);
            return false;
        }
        let start = self.product.get();
        self.values.subarray(start, start + values.len() as u32).copy_to(values);
        true
    }
}
