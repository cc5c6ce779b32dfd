//! Weights in blocks, expanded in one dispatch.

use super::{Four, GpuTensor, spread_wide};
use crate::kernels::blocks::Form;
use burn::backend::TensorMetadata;
use burn::backend::Wgpu;
use burn::backend::tensor::IntTensor;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// The weights of [`crate::kernels::blocks::Blocks`]: `[out, in]`.
pub fn expand(
    quants: &IntTensor<Wgpu>,
    scales: &GpuTensor,
    form: Form,
    out: usize,
    input: usize,
) -> GpuTensor {
    let output = super::empty(Shape::new([out, input]), scales);
    let words = quants.shape()[0];
    let (count, dim) = spread_wide(words);
    // SAFETY: each unit reads one word and the scale and minimum of its block, and writes the word's weights.
    unsafe {
        expand_kernel::launch_unchecked(
            &scales.client,
            count,
            dim,
            BufferArg::from_raw_parts(quants.handle.clone(), words),
            BufferArg::from_raw_parts(scales.handle.clone(), scales.shape()[0]),
            super::buffer(&output),
            words as u32,
            form.words() as u32,
            form == Form::Q8,
        );
    }
    output
}

#[cube(launch_unchecked)]
fn expand_kernel(
    quants: &[u32],
    scales: &[f32],
    output: &mut [Four],
    words: u32,
    words_of_block: u32,
    #[comptime] bytes: bool,
) {
    let at = ABSOLUTE_POS_X + ABSOLUTE_POS_Y * CUBE_COUNT_X * CUBE_DIM_X;
    if at < words {
        let (block, i) = (at / words_of_block, at % words_of_block);
        let scale = Four::new(scales[(block * 2) as usize]);
        let minimum = Four::new(scales[(block * 2 + 1) as usize]);
        let word = quants[at as usize];
        let mut first = Four::empty();
        let mut second = Four::empty();
        #[unroll]
        for j in 0..4usize {
            let byte = (word >> comptime!(8 * j as u32)) & 255u32;
            if comptime!(bytes) {
                first.insert(j, f32::cast_from(byte) - select(byte >= 128u32, 256.0f32, 0.0f32));
            } else {
                first.insert(j, f32::cast_from(byte & 15u32));
                second.insert(j, f32::cast_from(byte >> 4u32));
            }
        }
        output[(block * 8 + i) as usize] = first * scale + minimum;
        if comptime!(!bytes) {
            output[(block * 8 + 4 + i) as usize] = second * scale + minimum;
        }
    }
}
