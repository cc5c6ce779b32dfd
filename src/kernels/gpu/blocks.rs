//! Weights in blocks, read four at a time.

use super::{GpuTensor, Vec4, workgroups_in_rows};
use crate::kernels::blocks::{BLOCK, Form};
use burn::backend::Wgpu;
use burn::backend::tensor::IntTensor;
use burn::cubecl;
use burn::tensor::Shape;
use cubecl::prelude::*;

/// The weights of [`crate::kernels::blocks::Blocks`]: `[out, in]`.
pub fn expand(words: &IntTensor<Wgpu>, form: Form, out: usize, input: usize) -> GpuTensor {
    let output = super::empty(Shape::new([out, input]), words);
    let fours = out * input / 4;
    let (count, dim) = workgroups_in_rows(fours);
    // SAFETY: each unit reads within one block and writes four of its weights.
    unsafe {
        expand_kernel::launch_unchecked(
            &words.client,
            count,
            dim,
            BufferArg::from_raw_parts(words.handle.clone(), out * input / BLOCK * form.words()),
            super::buffer(&output),
            fours as u32,
            form,
        );
    }
    output
}

#[cube(launch_unchecked)]
fn expand_kernel(words: &[Vector<u32, Const<1>>], output: &mut [Vec4], fours: u32, #[comptime] form: Form) {
    let at = ABSOLUTE_POS_X + ABSOLUTE_POS_Y * CUBE_COUNT_X * CUBE_DIM_X;
    if at < fours {
        output[at as usize] = four(words, 0u32, at, form);
    }
}

/// Weights `4 * at..4 * at + 4` of those that begin at word `start`.
#[cube]
pub(super) fn four<W: Numeric, N: Size>(
    words: &[Vector<W, N>],
    start: u32,
    at: u32,
    #[comptime] form: Form,
) -> Vec4 {
    let block = start + at / 8u32 * comptime!(form.words() as u32);
    let numbers = block + comptime!(form.head_words() as u32);
    let i = at % 8u32;
    let mut weights = Vec4::empty();
    if comptime!(form == Form::F16 || form == Form::Bf16) {
        #[unroll]
        for j in 0..2usize {
            let pair = u32::cast_from(words[(numbers + i * 2u32 + j as u32) as usize]);
            if comptime!(form == Form::F16) {
                weights.insert(2 * j, half(pair & 0xffffu32));
                weights.insert(2 * j + 1, half(pair >> 16u32));
            } else {
                weights.insert(2 * j, f32::reinterpret(pair << 16u32));
                weights.insert(2 * j + 1, f32::reinterpret(pair & 0xffff0000u32));
            }
        }
    } else {
        if comptime!(form == Form::Q8) {
            let word = u32::cast_from(words[(numbers + i) as usize]);
            #[unroll]
            for j in 0..4usize {
                // The sign bit moves to where a subtraction gives the sign.
                let byte = ((word >> comptime!(8 * j as u32)) & 255u32) ^ 128u32;
                weights.insert(j, f32::cast_from(byte) - 128.0f32);
            }
        } else {
            let word = u32::cast_from(words[(numbers + i % 4u32) as usize]) >> (i / 4u32 * 4u32);
            #[unroll]
            for j in 0..4usize {
                weights.insert(j, f32::cast_from((word >> comptime!(8 * j as u32)) & 15u32));
            }
        }
        let scale = f32::reinterpret(u32::cast_from(words[block as usize]));
        let minimum = f32::reinterpret(u32::cast_from(words[(block + 1u32) as usize]));
        weights = weights * Vec4::new(scale) + Vec4::new(minimum);
    }
    weights
}

/// An IEEE 754 half as a float, without the optional type.
#[cube]
fn half(bits: u32) -> f32 {
    let size = bits & 0x7fffu32;
    // A normal number's exponent has another bias in a float; a smaller one is a multiple of 2⁻²⁴.
    let normal = f32::reinterpret((size << 13u32) + 0x38000000u32);
    let small = f32::cast_from(size) * 5.9604645e-8f32;
    let value = select(size < 0x400u32, small, normal);
    select(bits >= 0x8000u32, -value, value)
}
