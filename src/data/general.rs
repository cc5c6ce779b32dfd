//! Text that belongs to no task: the probe that forgetting is measured by, and the rows that can be mixed in against it.
//!
//! The built-in files are plain English and common questions with answers. A model that speaks another language, or knows another
//! world, can have files of its own beside its weights: `loralet-probe.txt` and `loralet-probe.jsonl` for the probe,
//! `loralet-general.txt` and `loralet-general.jsonl` for the rows. Probe and rows must not overlap.

use crate::data::encode::tokenizer::Tokenizer;
use crate::data::encode::{EncodeOptions, Example, encode_dataset};
use crate::data::read::DataFile;
use crate::data::shape::read_dataset;
use crate::data::types::DataShape;
use crate::error::{Error, Result};
use crate::recipe::Objective;

/// Files of general text, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneralText {
    /// What the page calls it.
    pub name: String,
    /// Name and content of each file.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Longer documents are cut into windows of this many tokens.
const WINDOW: usize = 256;

impl GeneralText {
    /// What forgetting is measured by, unless the model or the user brings something else.
    pub fn built_in_probe() -> GeneralText {
        built_in(include_str!("general/probe/text.txt"), include_str!("general/probe/questions.jsonl"))
    }

    /// What is mixed in, unless the model brings something else.
    pub fn built_in_rows() -> GeneralText {
        built_in(include_str!("general/text.txt"), include_str!("general/questions.jsonl"))
    }

    /// Every token of a text and every answer's tokens are targets.
    ///
    /// # Errors
    /// A file that cannot be read, or whose rows are neither text nor questions with answers.
    pub fn encode(&self, tokenizer: &Tokenizer, max_position_embeddings: usize) -> Result<Vec<Example>> {
        let mut examples = Vec::new();
        for (name, bytes) in &self.files {
            let dataset = read_dataset(DataFile { name, bytes }, None)?;
            let objective = match dataset.shape {
                DataShape::Text | DataShape::Classification => Objective::Text,
                DataShape::Preference | DataShape::UnpairedPreference => {
                    return Err(Error::InvalidData {
                        file: name.clone(),
                        reason: format!(
                            "holds {}, but general text is text, or questions with one answer each",
                            dataset.shape.label()
                        ),
                    });
                }
                _ => Objective::Sft,
            };
            let max_seq_length = WINDOW.min(max_position_embeddings);
            let options = EncodeOptions { objective, max_seq_length, train_on_prompt: false };
            examples.extend(encode_dataset(&dataset, tokenizer, &options)?.examples);
        }
        Ok(examples)
    }
}

fn built_in(text: &str, questions: &str) -> GeneralText {
    let file = |name: &str, text: &str| (name.to_string(), text.as_bytes().to_vec());
    GeneralText {
        name: "general English".into(),
        files: vec![file("general text.txt", text), file("general questions.jsonl", questions)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Every line with words in it.
    fn lines(text: &GeneralText) -> HashSet<String> {
        let all = text.files.iter().flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().lines());
        all.filter(|line| !line.trim().is_empty()).map(String::from).collect()
    }

    #[test]
    fn what_is_mixed_in_is_not_in_the_probe() {
        let beside_tiny = |name: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/www/public/models/tiny/loralet-");
            let read =
                |end: &str| (name.to_string(), std::fs::read(format!("{folder}{name}.{end}")).unwrap());
            GeneralText { name: name.into(), files: vec![read("txt"), read("jsonl")] }
        };
        for (probe, rows) in [
            (GeneralText::built_in_probe(), GeneralText::built_in_rows()),
            (beside_tiny("probe"), beside_tiny("general")),
        ] {
            let (probe, rows) = (lines(&probe), lines(&rows));
            assert!(probe.len() >= 19 && rows.len() > probe.len());
            assert_eq!(probe.intersection(&rows).count(), 0);
        }
    }
}
