//! Rows of texts that are compared: pairs that belong together, and pairs with a score.

use super::messages::{is_blank, kind, text};
use crate::data::batch::BatchRow;
use crate::data::encode::{Contrast, Example, Sequence};
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

impl Contrast {
    /// From the token ids of all but a row's first text.
    pub fn new(mut others: Vec<Vec<u32>>, score: &Option<String>) -> Option<Contrast> {
        let negative = if others.len() > 1 { others.pop() } else { None };
        let other = others.pop()?;
        match score {
            Some(score) => Some(Contrast::Scored { other, score: score.parse().ok()? }),
            None => Some(Contrast::Pair { positive: other, negative }),
        }
    }
}

/// What a batch holds after its first texts: what each is compared with, then the negatives of those that have one.
pub fn other_texts(examples: &[Example], rows: &[BatchRow]) -> Vec<Sequence> {
    let contrasts = || of(examples, rows);
    let texts = contrasts().map(Contrast::other).chain(contrasts().filter_map(Contrast::negative));
    texts.map(|ids| Sequence { input_ids: ids.to_vec(), loss_mask: vec![false; ids.len()] }).collect()
}

/// How many of a batch's rows are compared with others.
pub fn anchors(examples: &[Example], rows: &[BatchRow]) -> usize {
    of(examples, rows).count()
}

/// The scores of scored pairs; empty for other data.
pub fn scores(examples: &[Example], rows: &[BatchRow]) -> Vec<f32> {
    let score = |contrast: &Contrast| match contrast {
        Contrast::Scored { score, .. } => Some(*score),
        Contrast::Pair { .. } => None,
    };
    of(examples, rows).filter_map(score).collect()
}

fn of<'a>(examples: &'a [Example], rows: &'a [BatchRow]) -> impl Iterator<Item = &'a Contrast> {
    rows.iter().flat_map(|row| &row.examples).filter_map(|&index| examples[index].contrast.as_ref())
}
