//! Rows of texts that are compared: pairs that belong together, and pairs with a score.

use super::values::{is_blank, kind, text};
use crate::data::types::RowContent;
use serde_json::Value;

/// An anchor, what belongs to it, and maybe what does not.
pub(super) fn pair(anchor: &Value, positive: &Value, negative: &Value) -> Result<RowContent, String> {
    let mut texts = vec![text(anchor, "anchor")?, text(positive, "positive")?];
    if !is_blank(negative) {
        texts.push(text(negative, "negative")?);
    }
    Ok(RowContent::Sentences { texts, score: None })
}

/// Two sentences and how near they are.
pub(super) fn scored(first: &Value, second: &Value, score: &Value) -> Result<RowContent, String> {
    let texts = vec![text(first, "sentence1")?, text(second, "sentence2")?];
    if is_blank(score) && texts.iter().all(|text| text.trim().is_empty()) {
        return Ok(RowContent::Text(String::new()));
    }
    let written = match score {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_string(),
        other => kind(other).into(),
    };
    match written.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(RowContent::Sentences { texts, score: Some(written) }),
        _ => Err(format!(
            "\"score\" holds {} where a number is expected; write how near the two sentences are, or remove the row",
            if written.is_empty() { "nothing" } else { &written }
        )),
    }
}

/// What each text of a row is, in words.
pub fn roles(texts: &[String], score: &Option<String>) -> Vec<String> {
    match score {
        Some(score) => texts.iter().map(|_| format!("score {score}")).collect(),
        None => {
            ["anchor", "positive", "negative"].iter().take(texts.len()).map(|role| role.to_string()).collect()
        }
    }
}
