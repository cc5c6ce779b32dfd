//! SwiGLU's gate: one dispatch forward and one backward.

use super::{Four, GpuTensor, buffer, empty, in_fours, spread};
use burn::backend::TensorMetadata;
use burn::cubecl;
use cubecl::prelude::*;

/// `gate·σ(gate)·up`, or `None` where the values do not lie in order.
pub fn gated(gate: &GpuTensor, up: &GpuTensor) -> Option<GpuTensor> {
    if !in_fours(gate) || !in_fours(up) {
        return None;
    }
    let fours = gate.shape().num_elements() / 4;
    let (count, dim) = spread(fours)?;
    let output = empty(gate.shape(), gate);
    // SAFETY: all three have as many fours.
    unsafe {
        gated_kernel::launch_unchecked(
            &gate.client,
            count,
            dim,
            buffer(gate),
            buffer(up),
            buffer(&output),
            fours as u32,
        );
    }
    Some(output)
}

/// The gradients for gate and up.
pub fn gated_backward(gate: &GpuTensor, up: &GpuTensor, grad: &GpuTensor) -> Option<(GpuTensor, GpuTensor)> {
    if !in_fours(gate) || !in_fours(up) || !in_fours(grad) {
        return None;
    }
    let fours = gate.shape().num_elements() / 4;
    let (count, dim) = spread(fours)?;
    let (for_gate, for_up) = (empty(gate.shape(), gate), empty(gate.shape(), gate));
    // SAFETY: all five have as many fours.
    unsafe {
        backward_kernel::launch_unchecked(
            &gate.client,
            count,
            dim,
            buffer(gate),
            buffer(up),
            buffer(grad),
            buffer(&for_gate),
            buffer(&for_up),
            fours as u32,
        );
    }
    Some((for_gate, for_up))
}

#[cube(launch_unchecked)]
fn gated_kernel(gate: &[Four], up: &[Four], output: &mut [Four], fours: u32) {
    let at = ABSOLUTE_POS_X;
    if at < fours {
        let x = gate[at as usize];
        let one = Four::new(1.0f32);
        let sigmoid = one / (one + (-x).exp());
        output[at as usize] = x * sigmoid * up[at as usize];
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(
    gate: &[Four],
    up: &[Four],
    grad: &[Four],
    for_gate: &mut [Four],
    for_up: &mut [Four],
    fours: u32,
) {
    let at = ABSOLUTE_POS_X;
    if at < fours {
        let x = gate[at as usize];
        let g = grad[at as usize];
        let one = Four::new(1.0f32);
        let sigmoid = one / (one + (-x).exp());
        let silu = x * sigmoid;
        for_up[at as usize] = g * silu;
        for_gate[at as usize] = g * up[at as usize] * (sigmoid + silu * (one - sigmoid));
    }
}
