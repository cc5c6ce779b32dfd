//! Sums over a slice on the CPU, four values at a time.

use wide::f32x4;

pub(super) fn sum(values: &[f32]) -> f32 {
    let (fours, rest) = values.as_chunks::<4>();
    let sum = fours.iter().fold(f32x4::ZERO, |sum, four| sum + f32x4::new(*four)).reduce_add();
    sum + rest.iter().sum::<f32>()
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((fours_a, rest_a), (fours_b, rest_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let fours = fours_a.iter().zip(fours_b);
    let sum = fours.fold(f32x4::ZERO, |sum, (a, b)| sum + f32x4::new(*a) * f32x4::new(*b)).reduce_add();
    sum + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

/// The largest value, −∞ of none.
pub(super) fn largest(values: &[f32]) -> f32 {
    let (fours, rest) = values.as_chunks::<4>();
    let lowest = f32x4::splat(f32::NEG_INFINITY);
    let top = fours.iter().fold(lowest, |top, four| top.fast_max(f32x4::new(*four)));
    top.to_array().iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_one_value_after_the_other() {
        for length in [0, 3, 4, 9, 33] {
            let values: Vec<f32> = (0..length).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
            assert_eq!(sum(&values), values.iter().sum::<f32>());
            assert_eq!(dot(&values, &values), values.iter().map(|value| value * value).sum::<f32>());
            assert_eq!(largest(&values), values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
