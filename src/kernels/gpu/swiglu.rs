//! SwiGLU's gate: one dispatch forward and one backward.

use super::{GpuTensor, Vec4, buffer, empty, is_aligned, workgroups};
use burn::backend::TensorMetadata;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// `gate·σ(gate)·up`, or `None` where halves of rows are no whole fours or the values do not lie in order.
///
/// # Shapes
/// - gate_up: `[tokens, 2 * ffn]`
/// - output: `[tokens, ffn]`
pub fn gated(gate_up: &GpuTensor) -> Option<GpuTensor> {
    let (tokens, fours) = sizes(gate_up)?;
    let (count, dim) = workgroups(tokens * fours)?;
    let output = empty(Shape::new([tokens, fours * 4]), gate_up);
    // SAFETY: the kernel reads two and writes one of `fours` fours a token.
    unsafe {
        gated_kernel::launch_unchecked(
            &gate_up.client,
            count,
            dim,
            buffer(gate_up),
            buffer(&output),
            (tokens * fours) as u32,
            fours as u32,
        );
    }
    Some(output)
}

/// The gradient for both halves.
pub fn gated_backward(gate_up: &GpuTensor, grad: &GpuTensor) -> Option<GpuTensor> {
    let (tokens, fours) = sizes(gate_up)?;
    if !is_aligned(grad) {
        return None;
    }
    let (count, dim) = workgroups(tokens * fours)?;
    let output = empty(gate_up.shape(), gate_up);
    // SAFETY: the kernel reads three and writes two of `fours` fours a token.
    unsafe {
        backward_kernel::launch_unchecked(
            &gate_up.client,
            count,
            dim,
            buffer(gate_up),
            buffer(grad),
            buffer(&output),
            (tokens * fours) as u32,
            fours as u32,
        );
    }
    Some(output)
}

/// Tokens, and fours in half a row.
fn sizes(gate_up: &GpuTensor) -> Option<(usize, usize)> {
    let (tokens, width) = (gate_up.shape()[0], gate_up.shape()[1]);
    (is_aligned(gate_up) && width.is_multiple_of(8)).then_some((tokens, width / 8))
}

#[cube(launch_unchecked)]
fn gated_kernel(gate_up: &[Vec4], output: &mut [Vec4], units: u32, fours: u32) {
    let at = ABSOLUTE_POS_X;
    if at < units {
        let from = at / fours * fours * 2 + at % fours;
        let x = gate_up[from as usize];
        let one = Vec4::new(1.0f32);
        let sigmoid = one / (one + (-x).exp());
        output[at as usize] = x * sigmoid * gate_up[(from + fours) as usize];
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(gate_up: &[Vec4], grad: &[Vec4], output: &mut [Vec4], units: u32, fours: u32) {
    let at = ABSOLUTE_POS_X;
    if at < units {
        let from = at / fours * fours * 2 + at % fours;
        let x = gate_up[from as usize];
        let g = grad[at as usize];
        let one = Vec4::new(1.0f32);
        let sigmoid = one / (one + (-x).exp());
        let silu = x * sigmoid;
        output[(from + fours) as usize] = g * silu;
        output[from as usize] = g * gate_up[(from + fours) as usize] * (sigmoid + silu * (one - sigmoid));
    }
}
