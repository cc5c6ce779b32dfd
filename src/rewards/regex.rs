//! Answers of a form: they match a regular expression.

use regex::Regex;

/// 1 where the pattern is found anywhere in the answer, without white space at its ends; 0 elsewhere.
pub fn reward(answer: &str, pattern: &Regex) -> f64 {
    if pattern.is_match(answer.trim()) { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::GrpoRecipe;

    #[test]
    fn a_pattern_is_searched_in_the_trimmed_answer() {
        let pattern = |text: &str| {
            let recipe = GrpoRecipe { pattern: Some(text.into()), ..GrpoRecipe::default() };
            recipe.regex()
        };
        let ends = pattern(r"(?i)quack!$").unwrap();
        assert_eq!(reward("Red. QUACK!\n", &ends), 1.0);
        assert_eq!(reward("Quack! Red.", &ends), 0.0);
        let said = pattern("(red").unwrap_err().to_string();
        assert!(
            said.starts_with("recipe: grpo.pattern is \"(red\", but it must be a regular expression (uncl"),
            "{said}"
        );
        assert_eq!(pattern("").unwrap_err().kind(), crate::error::ErrorKind::InvalidSetting);
        assert_eq!(
            GrpoRecipe::default().regex().unwrap_err().kind(),
            crate::error::ErrorKind::InvalidSetting
        );
    }
}
