//! Causal attention that never stores a score: one dispatch forward, two backward
//! (<https://arxiv.org/abs/2205.14135>, <https://arxiv.org/abs/2307.08691>). A unit has a row or a few, and their sums
//! in registers.

mod backward;
mod cached;
mod forward;
mod rows;

pub use backward::backward;
pub use cached::cached;
pub use forward::forward;

use super::{GpuTensor, empty, is_aligned, on_software_adapter};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl::prelude::BufferArg;
use burn::tensor::Slice;

/// Rows that a unit computes together. More of them read each key less often; a real GPU has no registers for that.
fn rows_of_unit() -> usize {
    if on_software_adapter() { 4 } else { 1 }
}

/// Blocks of so many rows in all rows of the batch.
fn blocks(tokens: usize, seq: usize) -> usize {
    tokens / seq * seq.div_ceil(rows_of_unit())
}

/// The same values in order.
fn aligned(x: &GpuTensor) -> GpuTensor {
    if is_aligned(x) {
        return x.clone();
    }
    let all: Vec<Slice> = x.shape().iter().map(|&size| Slice::from(0..size)).collect();
    Wgpu::float_slice_assign(empty(x.shape(), x), &all, x.clone())
}

/// One number a token, not fours.
fn first_keys_buffer(x: &GpuTensor) -> BufferArg {
    // SAFETY: the length is that of the tensor whose handle this is.
    unsafe { BufferArg::from_raw_parts(x.handle.clone(), x.shape().num_elements()) }
}
