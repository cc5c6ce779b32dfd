//! Answers that can be checked: the row has the right one.

/// 1 for the row's answer, 0 for any other; white space at the ends does not count.
pub fn reward(answer: &str, expected: Option<&str>) -> f64 {
    let right = expected.is_some_and(|expected| answer.trim() == expected.trim());
    if right { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_may_differ() {
        assert_eq!(reward(" Red.\n", Some("Red.")), 1.0);
        assert_eq!(reward("red.", Some("Red.")), 0.0);
        assert_eq!(reward("Red", None), 0.0);
    }
}
