//! What the model will be shown, and which of it is trained.

use crate::data::encode::EncodeOptions;
use crate::data::encode::example::Verdict;
use crate::data::encode::row::encode_row;
use crate::data::encode::text::{EncodedText, RowError};
use crate::data::encode::tokenizer::Tokenizer;
use crate::data::shape::contrast;
use crate::data::types::{Dataset, Row, RowContent};
use crate::error::Result;
use serde::Serialize;

/// The first example of a row, or one answer of a preference row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PreviewRow {
    /// Index of the row, from 0.
    pub row: usize,
    /// Line of the file, from 1.
    pub line: usize,
    /// What a preference row says of this answer.
    pub verdict: Option<Verdict>,
    /// The class of a labelled text; of texts that are compared the part or the score.
    pub label: Option<String>,
    pub pieces: Vec<PreviewPiece>,
    /// Tokens in the pieces.
    pub tokens: usize,
    pub trained_tokens: usize,
    /// Whether the row goes on beyond what is shown.
    pub truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PreviewPiece {
    pub text: String,
    pub trained: bool,
}

/// The first rows that can be trained on, rendered, in pieces that are trained or not: `rows`
/// previews, of which a preference pair takes two and texts that are compared one each. A row that is skipped has no preview.
pub fn preview(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    options: &EncodeOptions,
    rows: usize,
) -> Result<Vec<PreviewRow>> {
    let mut previews = Vec::new();
    for (index, row) in dataset.rows.iter().enumerate() {
        let Row { line, content } = row.as_ref();
        if previews.len() >= rows {
            break;
        }
        let texts = match encode_row(&beginning(content, options), tokenizer, options) {
            Ok(texts) => texts,
            Err(RowError::Skipped(_)) => continue,
            Err(RowError::Failed(error)) => return Err(error),
        };
        let roles = match content {
            RowContent::Sentences { texts, score } => contrast::roles(texts, score),
            RowContent::Labelled { label, .. } => vec![label.clone()],
            _ => Vec::new(),
        };
        let all = roles.len() > 1 || texts.iter().all(|text| text.verdict.is_some());
        let shown = if all { texts.len() } else { 1 };
        let rows = texts[..shown].iter().map(|text| preview_row(index, *line, text, tokenizer, options));
        let labelled = rows.enumerate().map(|(i, row)| PreviewRow { label: roles.get(i).cloned(), ..row });
        previews.extend(labelled);
    }
    Ok(previews)
}

/// A long document is shown by its first window, which needs only its beginning.
fn beginning(content: &RowContent, options: &EncodeOptions) -> RowContent {
    const BYTES_PER_TOKEN: usize = 64;
    let first = |text: &str| {
        let end = text.floor_char_boundary(options.max_seq_length.saturating_mul(BYTES_PER_TOKEN));
        text[..end].to_string()
    };
    match content {
        RowContent::Text(text) => RowContent::Text(first(text)),
        RowContent::Labelled { text, label } => {
            RowContent::Labelled { text: first(text), label: label.clone() }
        }
        other => other.clone(),
    }
}

fn preview_row(
    row: usize,
    line: usize,
    text: &EncodedText,
    tokenizer: &Tokenizer,
    options: &EncodeOptions,
) -> PreviewRow {
    let tokens = text.tokens.ids.len().min(options.max_seq_length);
    let mut pieces: Vec<PreviewPiece> = Vec::new();
    let mut shown = 0;
    for i in 0..tokens {
        let span = &text.tokens.spans[i];
        let added = if span.start >= text.text.len() || (i == 0 && span.is_empty()) {
            // A token that stands for no text of the row: the model's begin or end token.
            tokenizer.id_to_token(text.tokens.ids[i]).unwrap_or_default()
        } else {
            let end = span.end.clamp(shown, text.text.len());
            let slice = text.text[shown..end].to_string();
            shown = end;
            slice
        };
        match pieces.last_mut().filter(|piece| piece.trained == text.trained[i]) {
            Some(piece) => piece.text.push_str(&added),
            None => pieces.push(PreviewPiece { text: added, trained: text.trained[i] }),
        }
    }
    pieces.retain(|piece| !piece.text.is_empty());
    PreviewRow {
        row,
        line,
        verdict: text.verdict,
        label: None,
        pieces,
        tokens,
        trained_tokens: text.trained[..tokens].iter().filter(|&&trained| trained).count(),
        truncated: text.full_length > options.max_seq_length,
    }
}
