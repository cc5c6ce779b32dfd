//! The search of a [`Session`], to try embeddings out: the texts of the open data that are nearest to a query.

use super::Session;
use crate::data::RowContent;
use crate::data::encode::encode_text;
use crate::error::{Error, Result};
use crate::eval::embeddings::embed;
use serde::Serialize;

/// A text of the open data, and how near it is to a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Neighbour {
    /// Line of the file, from 1.
    pub line: usize,
    pub text: String,
    pub cosine: f64,
}

/// So many texts at most are looked through, from the beginning of the file.
const SEARCHED: usize = 1000;
const SHOWN: usize = 5;

impl Session {
    /// The nearest texts first: of pairs what anchors are looked up for, of labelled or raw texts all.
    ///
    /// # Errors
    /// No model or data yet; an empty query; data without such texts; a device that stops answering.
    pub async fn search(&self, query: &str, adapter: bool) -> Result<Vec<Neighbour>> {
        let model = self.model()?;
        if query.trim().is_empty() {
            return Err(Error::Prompt { reason: "the query is empty; write something to look for".into() });
        }
        let mut found: Vec<Neighbour> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for row in &self.dataset()?.rows {
            let text = match &row.content {
                RowContent::Sentences { texts, .. } => texts.get(1),
                RowContent::Text(text) | RowContent::Labelled { text, .. } => Some(text),
                _ => None,
            };
            if let Some(text) = text.filter(|text| !text.trim().is_empty() && seen.insert(text.as_str())) {
                found.push(Neighbour { line: row.line, text: text.clone(), cosine: 0.0 });
            }
        }
        found.truncate(SEARCHED);
        if found.is_empty() {
            return Err(Error::Prompt {
                reason: "the open data has no texts to search; open pairs of texts, or plain texts".into(),
            });
        }
        let room = model.base.max_position_embeddings();
        let texts = std::iter::once(query).chain(found.iter().map(|neighbour| neighbour.text.as_str()));
        let ids = texts.map(|text| encode_text(text, &model.tokenizer, room)).collect::<Result<Vec<_>>>()?;
        let vectors = embed(&self.answering(adapter)?, ids).await?;
        let (query, texts) = vectors.split_first().expect("the query is one of them");
        for (neighbour, vector) in found.iter_mut().zip(texts) {
            neighbour.cosine = query.iter().zip(vector).map(|(a, b)| *a as f64 * *b as f64).sum();
        }
        found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        found.truncate(SHOWN);
        Ok(found)
    }
}
