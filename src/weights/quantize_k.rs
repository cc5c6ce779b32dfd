//! f32 into super-blocks of 256 weights, whose groups' scales are quantised themselves: Q4_K and Q6_K. Each group's scale is
//! searched for around the one that spans its weights; sums are taken in ggml's order, so that the bytes are ggml's.

use half::f16;

/// 32 weights of a group of Q4_K.
const GROUP: usize = 32;

/// See `quant_k.rs` for the layout of the block.
pub(super) fn q4_k(block: &[f32; 256], bytes: &mut Vec<u8>) {
    let (groups, _) = block.as_chunks::<GROUP>();
    let mut quants = [[0; GROUP]; 8];
    let mut fits = [(0.0, 0.0); 8];
    for ((group, quants), fit) in groups.iter().zip(&mut quants).zip(&mut fits) {
        *fit = scale_and_minimum(group, quants);
    }
    let largest = |part: fn(&(f32, f32)) -> f32| fits.iter().map(part).fold(0.0, f32::max);
    let (scale, minimum) = (largest(|fit| fit.0), largest(|fit| fit.1));
    // Six bits each, of which 63 is the largest.
    let inverse = |largest: f32| if largest > 0.0 { 63.0 / largest } else { 0.0 };
    let six_bits = |value: f32, inverse: f32| (nearest(inverse * value) as u8).min(63);
    let packed: [(u8, u8); 8] =
        fits.map(|(s, m)| (six_bits(s, inverse(scale)), six_bits(m, inverse(minimum))));
    let (scale, minimum) = (f16::from_f32(scale / 63.0), f16::from_f32(minimum / 63.0));
    for ((group, quants), (s, m)) in groups.iter().zip(&mut quants).zip(packed) {
        let step = scale.to_f32() * f32::from(s);
        if step != 0.0 {
            let shift = minimum.to_f32() * f32::from(m);
            *quants = group.map(|weight| nearest((weight + shift) / step).clamp(0, 15) as u8);
        }
    }

    bytes.extend(scale.to_le_bytes());
    bytes.extend(minimum.to_le_bytes());
    // The upper two bits of the last four groups lie in the bytes of the first four.
    let upper = |place: usize| packed[place + 4];
    bytes.extend((0..4).map(|i| packed[i].0 | upper(i).0 >> 4 << 6));
    bytes.extend((0..4).map(|i| packed[i].1 | upper(i).1 >> 4 << 6));
    bytes.extend((0..4).map(|i| upper(i).0 & 15 | (upper(i).1 & 15) << 4));
    for pair in quants.chunks_exact(2) {
        bytes.extend(pair[0].iter().zip(&pair[1]).map(|(low, high)| low | high << 4));
    }
}

/// The scale and the minimum, its sign turned, by which four bits a weight come nearest; large weights count more.
fn scale_and_minimum(weights: &[f32; GROUP], quants: &mut [u8; GROUP]) -> (f32, f32) {
    const MOST: f32 = 15.0;
    let mut squares = 0.0;
    weights.iter().for_each(|weight| squares += weight * weight);
    let average = (squares / GROUP as f32).sqrt();
    let importance = weights.map(|weight| average + weight.abs());
    let (mut sum, mut sum_x) = (0.0, 0.0);
    for (weight, w) in weights.iter().zip(&importance) {
        sum += w;
        sum_x += w * weight;
    }
    let mut minimum = weights.iter().copied().fold(weights[0], f32::min).min(0.0);
    let maximum = weights.iter().copied().fold(weights[0], f32::max);
    if maximum == minimum {
        *quants = [0; GROUP];
        return (0.0, -minimum);
    }
    let at = |inverse: f32, minimum: f32| {
        weights.map(|weight| nearest(inverse * (weight - minimum)).clamp(0, MOST as i32) as u8)
    };
    let error_of = |quants: &[u8; GROUP], scale: f32, minimum: f32| {
        let mut error = 0.0;
        for ((weight, w), &quant) in weights.iter().zip(&importance).zip(quants) {
            let apart = scale * f32::from(quant) + minimum - weight;
            error += w * (apart * apart);
        }
        error
    };
    let inverse = MOST / (maximum - minimum);
    let mut scale = 1.0 / inverse;
    *quants = at(inverse, minimum);
    let mut least = error_of(quants, scale, minimum);
    for step in 0..=20 {
        // As in ggml, from the best minimum so far.
        let tried = at((-1.0 + 0.1 * step as f32 + MOST) / (maximum - minimum), minimum);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0, 0.0, 0.0);
        for ((weight, w), &quant) in weights.iter().zip(&importance).zip(&tried) {
            let quant = f32::from(quant);
            sum_l += w * quant;
            sum_l2 += w * quant * quant;
            sum_xl += w * quant * weight;
        }
        let determinant = sum * sum_l2 - sum_l * sum_l;
        if determinant <= 0.0 || determinant.is_nan() {
            continue;
        }
        let mut tried_scale = (sum * sum_xl - sum_x * sum_l) / determinant;
        let mut tried_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        if tried_minimum > 0.0 {
            (tried_scale, tried_minimum) = (sum_xl / sum_l2, 0.0);
        }
        let error = error_of(&tried, tried_scale, tried_minimum);
        if error < least {
            (least, scale, minimum, *quants) = (error, tried_scale, tried_minimum, tried);
        }
    }
    (scale, -minimum)
}

/// What ggml takes for nothing.
const NOTHING: f32 = 1e-15;

/// See `quant_k.rs` for the layout of the block.
pub(super) fn q6_k(block: &[f32; 256], bytes: &mut Vec<u8>) {
    let (groups, _) = block.as_chunks::<16>();
    let mut quants = [0u8; 256];
    let mut fits = [0.0f32; 16];
    let mut extreme = 0.0f32;
    for ((group, quants), fit) in groups.iter().zip(quants.as_chunks_mut().0).zip(&mut fits) {
        *fit = symmetric_scale(group, quants);
        if fit.abs() > extreme.abs() {
            extreme = *fit;
        }
    }
    if extreme.abs() < NOTHING {
        bytes.extend([0; 210]);
        return;
    }
    let inverse = -128.0 / extreme;
    let scale = f16::from_f32(1.0 / inverse);
    let scales = fits.map(|fit| nearest(inverse * fit).min(127) as i8);
    for ((group, quants), &group_scale) in groups.iter().zip(quants.as_chunks_mut::<16>().0).zip(&scales) {
        let step = scale.to_f32() * f32::from(group_scale);
        if step != 0.0 {
            *quants = group.map(|weight| (nearest(weight / step).clamp(-32, 31) + 32) as u8);
        }
    }
    let halves = quants.as_chunks::<128>().0;
    for half in halves {
        bytes.extend((0..64).map(|i| half[i] & 15 | (half[i + 64] & 15) << 4));
    }
    for half in halves {
        let upper = |i: usize| (0..4).fold(0, |bits, group| bits | half[i + 32 * group] >> 4 << (2 * group));
        bytes.extend((0..32).map(upper));
    }
    bytes.extend(scales.map(|scale| scale as u8));
    bytes.extend(scale.to_le_bytes());
}

/// The scale by which six bits a weight, from -32 to 31, come nearest; a weight counts by its square.
fn symmetric_scale(weights: &[f32; 16], quants: &mut [u8; 16]) -> f32 {
    let mut extreme = 0.0f32;
    for &weight in weights {
        if weight.abs() > extreme.abs() {
            extreme = weight;
        }
    }
    if extreme.abs() < NOTHING {
        *quants = [0; 16];
        return 0.0;
    }
    let at = |inverse: f32| weights.map(|weight| nearest(inverse * weight).clamp(-32, 31));
    let sums = |quants: &[i32; 16]| {
        let (mut sum_xl, mut sum_l2) = (0.0, 0.0);
        for (&weight, &quant) in weights.iter().zip(quants) {
            let (w, quant) = (weight * weight, quant as f32);
            sum_xl += w * weight * quant;
            sum_l2 += w * quant * quant;
        }
        (sum_xl, sum_l2)
    };
    let mut best = at(-32.0 / extreme);
    let (sum_xl, sum_l2) = sums(&best);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_xl / sum_l2 };
    let mut most = scale * sum_xl;
    for step in (-9..=9).filter(|&step| step != 0) {
        let tried = at(-(32.0 + 0.1 * step as f32) / extreme);
        let (sum_xl, sum_l2) = sums(&tried);
        if sum_l2 > 0.0 && sum_xl * sum_xl > most * sum_l2 {
            scale = sum_xl / sum_l2;
            (most, best) = (scale * sum_xl, tried);
        }
    }
    *quants = best.map(|quant| (quant + 32) as u8);
    scale
}

/// The nearest whole number, of two the even one.
fn nearest(value: f32) -> i32 {
    value.round_ties_even() as i32
}
