//! Operations with a kernel or a backward pass of their own. Each has, on every device that has
//! no kernel yet, burn's stock operations as its body, and those are what its test compares it to.

pub mod adamw;
pub mod attention;
pub mod bias;
pub mod blocks;
pub mod concat;
mod exp;
pub mod gemm;
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
mod gpu;
pub mod head_norm;
pub mod lora;
pub mod matmul;
pub mod move_rows;
pub mod norm;
pub mod readback;
pub mod rms_norm;
pub mod rotary;
pub mod running_softmax;
pub mod sample;
pub mod seed;
pub mod softmax;
mod sums;
pub mod swiglu;

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
pub use gpu::set_software_adapter;

#[cfg(test)]
pub(crate) mod testing;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Device;

/// Makes tensors that outlive an operation, in memory of exactly their sizes.
pub fn persistent<I: Send, O: Send>(device: &Device, input: I, make: impl Fn(I) -> O + Send) -> O {
    device.memory_persistent_allocations(input, make)
}

/// The same values in order, with nothing else in their storage; a copy only where they are not so already.
fn contiguous(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let count = x.layout().num_elements();
    let whole = x.is_contiguous() && x.layout().start_offset() == 0 && x.storage::<f32>().len() == count;
    if whole { x } else { x.to_contiguous() }
}
