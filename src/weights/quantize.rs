//! f32 into the storage forms that weights are written in, to the last bit as ggml's reference (`quantize_row_*_ref` in
//! `ggml-quants.c`).

use super::quant::StorageType;
use super::quantize_k::{q4_k, q6_k};
use half::{bf16, f16};

/// Appends whole blocks to `bytes`.
///
/// # Shapes
/// - `values`: `[blocks × block_size]`
///
/// # Panics
/// A form that is only read (Q4_1, Q5_1 and Q5_K), or values that do not fill blocks; neither comes from a
/// file.
pub fn quantize(dtype: StorageType, values: &[f32], bytes: &mut Vec<u8>) {
    assert!(values.len().is_multiple_of(dtype.block_size()));
    match dtype {
        StorageType::F32 => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
        StorageType::F16 => values.iter().for_each(|&value| bytes.extend(f16::from_f32(value).to_le_bytes())),
        StorageType::BF16 => {
            values.iter().for_each(|&value| bytes.extend(bf16::from_f32(value).to_le_bytes()));
        }
        StorageType::Q8_0 => values.as_chunks().0.iter().for_each(|block| q8_0(block, bytes)),
        StorageType::Q4_0 => values.as_chunks().0.iter().for_each(|block| q4_0(block, bytes)),
        StorageType::Q5_0 => values.as_chunks().0.iter().for_each(|block| q5_0(block, bytes)),
        StorageType::Q4_K => values.as_chunks().0.iter().for_each(|block| q4_k(block, bytes)),
        StorageType::Q6_K => values.as_chunks().0.iter().for_each(|block| q6_k(block, bytes)),
        _ => panic!("{} is only read", dtype.name()),
    }
}

/// The scale, then 32 signed bytes; the largest weight is ±127.
fn q8_0(block: &[f32; 32], bytes: &mut Vec<u8>) {
    let largest = block.iter().fold(0.0, |most: f32, weight| most.max(weight.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    bytes.extend(f16::from_f32(scale).to_le_bytes());
    bytes.extend(block.map(|weight| (weight * inverse).round() as i8 as u8));
}

/// The scale, then weight i in the lower four bits of byte i and weight i + 16 in its upper ones.
fn q4_0(block: &[f32; 32], bytes: &mut Vec<u8>) {
    let (scale, quants) = around_the_middle::<8>(block);
    bytes.extend(scale.to_le_bytes());
    bytes.extend((0..16).map(|i| quants[i] | quants[i + 16] << 4));
}

/// The same with five bits: the fifth ones, 32 of them, are between the scale and the others.
fn q5_0(block: &[f32; 32], bytes: &mut Vec<u8>) {
    let (scale, quants) = around_the_middle::<16>(block);
    bytes.extend(scale.to_le_bytes());
    let fifth = quants.iter().enumerate().fold(0, |bits: u32, (i, &quant)| bits | u32::from(quant >> 4) << i);
    bytes.extend(fifth.to_le_bytes());
    bytes.extend((0..16).map(|i| quants[i] & 15 | (quants[i + 16] & 15) << 4));
}

/// Numbers from 0 to `2 * MIDDLE - 1`: the weight that is largest without its sign is 0, and zero is in the middle.
fn around_the_middle<const MIDDLE: u8>(block: &[f32; 32]) -> (f16, [u8; 32]) {
    let mut extreme = 0.0f32;
    for &weight in block {
        if weight.abs() > extreme.abs() {
            extreme = weight;
        }
    }
    let middle = f32::from(MIDDLE);
    let scale = extreme / -middle;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let quant = |weight: f32| ((weight * inverse + (middle + 0.5)) as u8).min(2 * MIDDLE - 1);
    (f16::from_f32(scale), block.map(quant))
}
