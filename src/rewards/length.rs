//! Answers of a length.

/// 1 for an answer of exactly `target` words; less by the share of `target` by which it is longer or shorter, so 0 for none or
/// twice as many, and below 0 for more.
pub fn reward(answer: &str, target: usize) -> f64 {
    let words = answer.split_whitespace().count();
    1.0 - words.abs_diff(target) as f64 / target.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_better() {
        let rewards = ["", "one", "one two", "a b c", "a b c d e f"].map(|answer| reward(answer, 2));
        assert_eq!(rewards, [0.0, 0.5, 1.0, 0.5, -1.0]);
    }
}
