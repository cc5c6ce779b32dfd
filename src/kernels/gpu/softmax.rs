//! Softmax over rows: one unit a row, one dispatch forward and one backward.

use super::{GpuTensor, Vec4, buffer, empty, is_aligned, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// The softmax of each row, or `None` where rows are no whole fours.
pub fn rows(x: &GpuTensor) -> Option<GpuTensor> {
    if !is_aligned(x) {
        return None;
    }
    let (rows, fours) = row_sizes(x);
    let (count, dim) = workgroups(rows)?;
    let output = empty(x.shape(), x);
    // SAFETY: both have as many rows of as many fours.
    unsafe {
        rows_kernel::launch_unchecked(
            &x.client,
            count,
            dim,
            buffer(x),
            buffer(&output),
            rows as u32,
            fours as u32,
        );
    }
    Some(output)
}

/// From the output y and its gradient g: y·(g − Σ g·y).
pub fn rows_backward(y: &GpuTensor, grad: &GpuTensor) -> Option<GpuTensor> {
    if !is_aligned(y) || !is_aligned(grad) {
        return None;
    }
    let (rows, fours) = row_sizes(y);
    let (count, dim) = workgroups(rows)?;
    let output = empty(y.shape(), y);
    // SAFETY: all three have as many rows of as many fours.
    unsafe {
        backward_kernel::launch_unchecked(
            &y.client,
            count,
            dim,
            buffer(y),
            buffer(grad),
            buffer(&output),
            rows as u32,
            fours as u32,
        );
    }
    Some(output)
}

fn row_sizes(x: &GpuTensor) -> (usize, usize) {
    let shape = x.shape();
    let last = shape[shape.num_dims() - 1];
    (shape.num_elements() / last, last / 4)
}

#[cube(launch_unchecked)]
fn rows_kernel(x: &[Vec4], output: &mut [Vec4], rows: u32, fours: u32) {
    let row = ABSOLUTE_POS_X;
    if row < rows {
        let start = row * fours;
        let mut top = x[start as usize].extract(0usize);
        for i in 0..fours {
            let four = x[(start + i) as usize];
            #[unroll]
            for c in 0..4usize {
                let value = four.extract(c);
                top = select(value > top, value, top);
            }
        }
        let mut sums = Vec4::new(0.0f32);
        for i in 0..fours {
            let power = (x[(start + i) as usize] - Vec4::new(top)).exp();
            output[(start + i) as usize] = power;
            sums += power;
        }
        let sum = sums.extract(0usize) + sums.extract(1usize) + sums.extract(2usize) + sums.extract(3usize);
        let share = Vec4::new(1.0f32 / sum);
        for i in 0..fours {
            output[(start + i) as usize] *= share;
        }
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(y: &[Vec4], grad: &[Vec4], output: &mut [Vec4], rows: u32, fours: u32) {
    let row = ABSOLUTE_POS_X;
    if row < rows {
        let start = row * fours;
        let mut sum = 0.0f32;
        for i in 0..fours {
            sum += y[(start + i) as usize].dot(grad[(start + i) as usize]);
        }
        for i in 0..fours {
            output[(start + i) as usize] =
                y[(start + i) as usize] * (grad[(start + i) as usize] - Vec4::new(sum));
        }
    }
}
