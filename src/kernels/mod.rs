//! Operations with a kernel or a backward pass of their own. Each has, on every device that has
//! no kernel yet, burn's stock operations as its body, and those are what its test compares it to.

pub mod exp;
pub mod gemm;
pub mod matmul;
pub mod softmax;
pub mod swiglu;

#[cfg(test)]
mod testing;
