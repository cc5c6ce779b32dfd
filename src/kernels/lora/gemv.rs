//! A few rows times a weight in blocks, on the CPU: as in generation, bound by the memory that the weight is read from, so that
//! its blocks are multiplied as they lie, four words at a time.

use crate::kernels::blocks::{BLOCK, Form};
use wide::{f32x4, i32x4};

/// Fours of numbers in a block.
const FOURS: usize = BLOCK / 4;

/// `x·Wᵀ`: `[tokens, out]`
///
/// # Shapes
/// - x: `[tokens, in]`
/// - words: `[out * in / 32 * words of a block]`
pub(super) fn times(x: &[f32], words: &[i32], form: Form, [out, input]: [usize; 2]) -> Vec<f32> {
    let blocks = input / BLOCK;
    let x: Vec<XBlock> = x.as_chunks::<BLOCK>().0.iter().map(|x| XBlock::new(x, form)).collect();
    let mut output = vec![0.0; x.len() / blocks * out];
    for (i, row) in words.chunks_exact(blocks * form.words()).take(out).enumerate() {
        for (token, x) in x.chunks_exact(blocks).enumerate() {
            output[token * out + i] = match form {
                Form::F16 => dot(x, row, halves),
                Form::Bf16 => dot(x, row, upper_halves),
                Form::Q8 => dot_scaled(x, row, bytes),
                Form::Q4 => dot_scaled(x, row, half_bytes),
            };
        }
    }
    output
}

/// A block of a row of x, in the order that numbers come out of four words.
struct XBlock {
    fours: [f32x4; FOURS],
    sum: f32,
}

impl XBlock {
    fn new(x: &[f32; BLOCK], form: Form) -> XBlock {
        // Numbers in the same place of neighbouring words lie so far apart.
        let apart = if matches!(form, Form::F16 | Form::Bf16) { 2 } else { 4 };
        let four = |i: usize| {
            let first = i / apart * 4 * apart + i % apart;
            f32x4::new([0, 1, 2, 3].map(|lane| x[first + lane * apart]))
        };
        XBlock { fours: std::array::from_fn(four), sum: x.iter().sum() }
    }

    fn dot(&self, numbers: [f32x4; FOURS]) -> f32x4 {
        let p: [f32x4; FOURS] = std::array::from_fn(|i| self.fours[i] * numbers[i]);
        ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]))
    }
}

/// With a row of numbers.
fn dot<const N: usize>(x: &[XBlock], row: &[i32], numbers: impl Fn(&[i32; N]) -> [f32x4; FOURS]) -> f32 {
    let blocks = row.as_chunks::<N>().0;
    x.iter().zip(blocks).fold(f32x4::ZERO, |sum, (x, words)| sum + x.dot(numbers(words))).reduce_add()
}

/// With a row of blocks that begin with a scale and a minimum.
fn dot_scaled<const N: usize>(
    x: &[XBlock],
    row: &[i32],
    numbers: impl Fn(&[i32; N]) -> [f32x4; FOURS],
) -> f32 {
    let (mut sum, mut of_minimums) = (f32x4::ZERO, 0.0);
    for (x, block) in x.iter().zip(row.chunks_exact(2 + N)) {
        let ([scale, minimum], Some(words)) = ([block[0], block[1]], block[2..].first_chunk::<N>()) else {
            continue;
        };
        let [scale, minimum] = [scale, minimum].map(|word| f32::from_bits(word as u32));
        sum += x.dot(numbers(words)) * f32x4::splat(scale);
        of_minimums += x.sum * minimum;
    }
    sum.reduce_add() + of_minimums
}

fn four(words: &[i32], i: usize) -> i32x4 {
    i32x4::new([0, 1, 2, 3].map(|lane| words[4 * i + lane]))
}

fn halves(words: &[i32; 16]) -> [f32x4; FOURS] {
    std::array::from_fn(|i| {
        let four = four(words, i / 2);
        half_to_float(if i % 2 == 0 { four } else { four >> 16 })
    })
}

fn upper_halves(words: &[i32; 16]) -> [f32x4; FOURS] {
    std::array::from_fn(|i| {
        let four = four(words, i / 2);
        floats(if i % 2 == 0 { four << 16 } else { four & i32x4::splat(!0xffff) })
    })
}

fn bytes(words: &[i32; 8]) -> [f32x4; FOURS] {
    std::array::from_fn(|i| {
        let upmost: i32x4 = four(words, i / 4) << (24 - 8 * (i as i32 % 4));
        let signed: i32x4 = upmost >> 24;
        signed.round_float()
    })
}

fn half_bytes(words: &[i32; 4]) -> [f32x4; FOURS] {
    let four = four(words, 0);
    std::array::from_fn(|i| {
        let shifted: i32x4 = four >> (8 * (i as i32 % 4) + 4 * (i as i32 / 4));
        (shifted & i32x4::splat(15)).round_float()
    })
}

/// The numbers that IEEE 754 halves in the lower halves stand for, as [`crate::kernels::blocks`] does it one by one.
fn half_to_float(words: i32x4) -> f32x4 {
    let (sign, rest) = ((words & i32x4::splat(0x8000)) << 16, words & i32x4::splat(0x7fff));
    let number = floats(rest << 13) * f32x4::splat(f32::from_bits((127 + 112) << 23));
    let beyond = rest.simd_gt(i32x4::splat(0x7bff)) & i32x4::splat(0x7f80_0000);
    floats(ints(number) | sign | beyond)
}

fn floats(words: i32x4) -> f32x4 {
    f32x4::new(words.to_array().map(|word| f32::from_bits(word as u32)))
}

fn ints(numbers: f32x4) -> i32x4 {
    i32x4::new(numbers.to_array().map(|number| number.to_bits() as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::blocks::{Blocks, HostBlocks};
    use burn::tensor::Device;
    use half::{bf16, f16};

    #[test]
    fn products_are_those_with_the_numbers() {
        let (out, input) = (5, 96);
        for form in [Form::F16, Form::Bf16, Form::Q8, Form::Q4] {
            let number = |i: usize| (i as f32 * 0.37).sin() * 1.5;
            let word = |i: usize| match form {
                Form::F16 => [2 * i, 2 * i + 1].map(|i| f16::from_f32(number(i)).to_bits()),
                Form::Bf16 => [2 * i, 2 * i + 1].map(|i| bf16::from_f32(number(i)).to_bits()),
                _ => [i, i + 7].map(|i| (i as u16).wrapping_mul(0x9e37)),
            };
            let words: Vec<i32> = (0..out * input / BLOCK)
                .flat_map(|block| {
                    let head = [0.01 + block as f32 * 1e-3, -0.1].map(|number: f32| number.to_bits() as i32);
                    let numbers = (0..form.number_words()).map(move |i| {
                        let [lower, upper] = word(block * form.number_words() + i);
                        i32::from(upper as i16) << 16 | i32::from(lower)
                    });
                    head.into_iter().take(form.head_words()).chain(numbers)
                })
                .collect();
            let x: Vec<f32> = (0..3 * input).map(|i| (i as f32 * 0.71).cos()).collect();
            let ours = times(&x, &words, form, [out, input]);
            let blocks = Blocks::new(HostBlocks { form, words }, [out, input], &Device::flex());
            let weight: Vec<f32> = blocks.expand().to_data().iter::<f32>().collect();
            for (i, ours) in ours.iter().enumerate() {
                let (x, row) = (&x[i / out * input..][..input], &weight[i % out * input..][..input]);
                let expected: f32 = x.iter().zip(row).map(|(x, weight)| x * weight).sum();
                assert!((ours - expected).abs() < 1e-4, "{form:?}: value {i} is {ours}, not {expected}");
            }
        }
    }

    #[test]
    fn halves_of_all_sizes_keep_their_values() {
        for first in (0..=u16::MAX).step_by(4) {
            let halves = [0, 1, 2, 3].map(|i| first + i);
            let ours = half_to_float(i32x4::new(halves.map(i32::from))).to_array();
            for (ours, half) in ours.into_iter().zip(halves) {
                let expected = f16::from_bits(half).to_f32();
                assert!(ours.to_bits() == expected.to_bits() || ours.is_nan() && expected.is_nan());
            }
        }
    }
}
