//! Answers of a form: they match a regular expression.

use crate::error::{Error, Result};
use regex::{Regex, RegexBuilder};

/// A pattern of megabytes would stop the page.
const LARGEST: usize = 1 << 20;

/// # Errors
/// No pattern, or one that is no regular expression.
pub fn pattern(text: Option<&str>) -> Result<Regex> {
    let invalid = |value: String, expected: String| Error::InvalidSetting {
        key: "grpo.pattern".into(),
        value,
        expected,
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(invalid("null".into(), "the reward regex needs a regular expression to look for".into()));
    };
    RegexBuilder::new(text).size_limit(LARGEST).build().map_err(|error| {
        // The last line of the message says what is wrong; those before it draw where.
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        invalid(format!("\"{text}\""), format!("it must be a regular expression ({reason})"))
    })
}

/// 1 where the pattern is found anywhere in the answer, without white space at its ends; 0 elsewhere.
pub fn reward(answer: &str, pattern: &Regex) -> f64 {
    if pattern.is_match(answer.trim()) { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_searched_in_the_trimmed_answer() {
        let ends = pattern(Some(r"(?i)quack!$")).unwrap();
        assert_eq!(reward("Red. QUACK!\n", &ends), 1.0);
        assert_eq!(reward("Quack! Red.", &ends), 0.0);
        let said = pattern(Some("(red")).unwrap_err().to_string();
        assert!(
            said.starts_with("recipe: grpo.pattern is \"(red\", but it must be a regular expression (uncl"),
            "{said}"
        );
        for none in [None, Some("")] {
            assert_eq!(pattern(none).unwrap_err().kind(), "invalid_setting");
        }
    }
}
