//! Storage forms of weights and their expansion to f32.
//!
//! A quantised form keeps a row as blocks of 32 or 256 weights that share a scale, and in
//! some forms a minimum. The formulas are those of ggml.

use super::quant_k::{q4_k, q5_k, q6_k};
use half::{bf16, f16};
use serde::Serialize;

/// What [`dequantize`] can expand, for messages.
pub const SUPPORTED_TYPES: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K";

/// How a tensor's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
#[allow(non_camel_case_types)]
pub enum StorageType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl StorageType {
    pub fn name(self) -> &'static str {
        match self {
            StorageType::F32 => "F32",
            StorageType::F16 => "F16",
            StorageType::BF16 => "BF16",
            StorageType::Q4_0 => "Q4_0",
            StorageType::Q4_1 => "Q4_1",
            StorageType::Q5_0 => "Q5_0",
            StorageType::Q5_1 => "Q5_1",
            StorageType::Q8_0 => "Q8_0",
            StorageType::Q4_K => "Q4_K",
            StorageType::Q5_K => "Q5_K",
            StorageType::Q6_K => "Q6_K",
        }
    }

    /// Weights in a block.
    pub fn block_size(self) -> usize {
        match self {
            StorageType::F32 | StorageType::F16 | StorageType::BF16 => 1,
            StorageType::Q4_K | StorageType::Q5_K | StorageType::Q6_K => 256,
            _ => 32,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            StorageType::F32 => 4,
            StorageType::F16 | StorageType::BF16 => 2,
            StorageType::Q4_0 => 18,
            StorageType::Q4_1 => 20,
            StorageType::Q5_0 => 22,
            StorageType::Q5_1 => 24,
            StorageType::Q8_0 => 34,
            StorageType::Q4_K => 144,
            StorageType::Q5_K => 176,
            StorageType::Q6_K => 210,
        }
    }

    /// Bytes of `elements` weights, or None if they do not fill whole blocks or overflow.
    pub fn bytes_of(self, elements: u64) -> Option<u64> {
        let block = self.block_size() as u64;
        if !elements.is_multiple_of(block) {
            return None;
        }
        (elements / block).checked_mul(self.block_bytes() as u64)
    }
}

/// Expands whole blocks to f32.
///
/// # Shapes
/// - `bytes`: `[blocks × block_bytes]`
/// - `values`: `[blocks × block_size]`, overwritten
///
/// # Panics
/// If the lengths do not match; they are computed, never read from a file.
pub fn dequantize(dtype: StorageType, bytes: &[u8], values: &mut [f32]) {
    assert_eq!(bytes.len() / dtype.block_bytes(), values.len() / dtype.block_size());
    assert!(
        bytes.len().is_multiple_of(dtype.block_bytes()) && values.len().is_multiple_of(dtype.block_size())
    );
    match dtype {
        StorageType::F32 => blocks::<4, 1>(bytes, values, |b, v| v[0] = f32::from_le_bytes(*b)),
        StorageType::F16 => blocks::<2, 1>(bytes, values, |b, v| v[0] = f16::from_le_bytes(*b).to_f32()),
        StorageType::BF16 => blocks::<2, 1>(bytes, values, |b, v| v[0] = bf16::from_le_bytes(*b).to_f32()),
        StorageType::Q4_0 => blocks(bytes, values, q4_0),
        StorageType::Q4_1 => blocks(bytes, values, q4_1),
        StorageType::Q5_0 => blocks(bytes, values, q5_0),
        StorageType::Q5_1 => blocks(bytes, values, q5_1),
        StorageType::Q8_0 => blocks(bytes, values, q8_0),
        StorageType::Q4_K => blocks(bytes, values, q4_k),
        StorageType::Q5_K => blocks(bytes, values, q5_k),
        StorageType::Q6_K => blocks(bytes, values, q6_k),
    }
}

/// The half-precision number at `at`.
pub(super) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn blocks<const BYTES: usize, const WEIGHTS: usize>(
    bytes: &[u8],
    values: &mut [f32],
    expand: impl Fn(&[u8; BYTES], &mut [f32; WEIGHTS]),
) {
    let (bytes, _) = bytes.as_chunks::<BYTES>();
    let (values, _) = values.as_chunks_mut::<WEIGHTS>();
    for (block, out) in bytes.iter().zip(values) {
        expand(block, out);
    }
}

/// scale, 16 × two 4-bit weights around 8
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = half_at(block, 0);
    for (i, &pair) in block[2..].iter().enumerate() {
        out[i] = ((pair & 15) as i32 - 8) as f32 * scale;
        out[i + 16] = ((pair >> 4) as i32 - 8) as f32 * scale;
    }
}

/// scale, minimum, 16 × two 4-bit weights
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    for (i, &pair) in block[4..].iter().enumerate() {
        out[i] = (pair & 15) as f32 * scale + minimum;
        out[i + 16] = (pair >> 4) as f32 * scale + minimum;
    }
}

/// scale, 32 fifth bits, 16 × two 4-bit weights around 16
fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let scale = half_at(block, 0);
    let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    for (i, &pair) in block[6..].iter().enumerate() {
        let (first, second) = five_bits(pair, high, i);
        out[i] = (first as i32 - 16) as f32 * scale;
        out[i + 16] = (second as i32 - 16) as f32 * scale;
    }
}

/// scale, minimum, 32 fifth bits, 16 × two 4-bit weights
fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    for (i, &pair) in block[8..].iter().enumerate() {
        let (first, second) = five_bits(pair, high, i);
        out[i] = first as f32 * scale + minimum;
        out[i + 16] = second as f32 * scale + minimum;
    }
}

/// scale, 32 signed bytes
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = half_at(block, 0);
    for (value, &quant) in out.iter_mut().zip(&block[2..]) {
        *value = quant as i8 as f32 * scale;
    }
}

/// The weights `i` and `i + 16` of a block whose fifth bits are in `high`.
fn five_bits(pair: u8, high: u32, i: usize) -> (u32, u32) {
    let first = (pair & 15) as u32 | ((high >> i) & 1) << 4;
    let second = (pair >> 4) as u32 | ((high >> (i + 16)) & 1) << 4;
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q4_0_keeps_the_low_nibbles_in_the_first_half() {
        let mut block = [0u8; 18];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2] = 0xF0;
        let mut out = [0.0; 32];
        dequantize(StorageType::Q4_0, &block, &mut out);
        assert_eq!(out[0], -4.0);
        assert_eq!(out[16], 3.5);
    }

    #[test]
    fn sizes_in_bytes() {
        assert_eq!(StorageType::Q4_K.bytes_of(512), Some(288));
        assert_eq!(StorageType::Q4_K.bytes_of(300), None);
        assert_eq!(StorageType::F32.bytes_of(u64::MAX), None);
    }
}
