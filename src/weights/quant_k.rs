//! The k-quants: super-blocks of 256 weights whose scales are quantised themselves.

use super::quant::half_at;

/// scale, minimum scale, 12 bytes with eight 6-bit (scale, minimum) pairs, 256 4-bit weights
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (scales, quants) = (&block[4..16], &block[16..]);
    // 32 bytes hold two groups of 32 weights: low nibbles first, then high ones.
    for (pair, (quants, out)) in quants.chunks_exact(32).zip(out.chunks_exact_mut(64)).enumerate() {
        let (low, high) = out.split_at_mut(32);
        let (low_scale, low_minimum) = group_scale(scales, 2 * pair, scale, minimum);
        let (high_scale, high_minimum) = group_scale(scales, 2 * pair + 1, scale, minimum);
        for i in 0..32 {
            low[i] = low_scale * (quants[i] & 15) as f32 - low_minimum;
            high[i] = high_scale * (quants[i] >> 4) as f32 - high_minimum;
        }
    }
}

/// as Q4_K, with a plane of 32 bytes that holds bit `g` of byte `i` as the fifth bit of weight `i` in group `g`
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (scales, fifth, quants) = (&block[4..16], &block[16..48], &block[48..]);
    for (pair, (quants, out)) in quants.chunks_exact(32).zip(out.chunks_exact_mut(64)).enumerate() {
        let (low, high) = out.split_at_mut(32);
        let (low_scale, low_minimum) = group_scale(scales, 2 * pair, scale, minimum);
        let (high_scale, high_minimum) = group_scale(scales, 2 * pair + 1, scale, minimum);
        for i in 0..32 {
            let low_bit = (fifth[i] >> (2 * pair)) & 1;
            let high_bit = (fifth[i] >> (2 * pair + 1)) & 1;
            low[i] = low_scale * (quants[i] & 15 | low_bit << 4) as f32 - low_minimum;
            high[i] = high_scale * (quants[i] >> 4 | high_bit << 4) as f32 - high_minimum;
        }
    }
}

/// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, one scale over all; weights around 32
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let scale = half_at(block, 208);
    for (half, out) in out.chunks_exact_mut(128).enumerate() {
        let low = &block[64 * half..64 * half + 64];
        let upper = &block[128 + 32 * half..160 + 32 * half];
        let scales = &block[192 + 8 * half..200 + 8 * half];
        // A half has four groups of 32 weights, each with a scale per 16.
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            for (i, value) in out.iter_mut().enumerate() {
                let nibble = low[i + 32 * (group % 2)] >> (4 * (group / 2)) & 15;
                let quant = (nibble | (upper[i] >> (2 * group) & 3) << 4) as i32 - 32;
                let group_scale = scales[2 * group + i / 16] as i8 as f32;
                *value = scale * group_scale * quant as f32;
            }
        }
    }
}

/// The scale and minimum of group `group` of 8, unpacked from 6 bits each.
fn group_scale(packed: &[u8], group: usize, scale: f32, minimum: f32) -> (f32, f32) {
    let (s, m) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let shared = packed[group + 4];
        (shared & 15 | (packed[group - 4] >> 6) << 4, shared >> 4 | (packed[group] >> 6) << 4)
    };
    (scale * s as f32, minimum * m as f32)
}
