//! The general text of a [`Session`]: which one forgetting is measured by (the user's, the model's own, or the built-in one), and which
//! is mixed in against it.

use super::Session;
use crate::data::{Example, GeneralText};
use crate::error::Result;
use crate::eval::forgetting::{Probe, ProbeSummary};
use crate::recipe::Recipe;
use crate::weights::source::ByteSource;

/// The general text of a model.
pub(super) struct GeneralFiles {
    pub probe: GeneralText,
    pub rows: GeneralText,
}

impl GeneralFiles {
    /// The files `loralet-probe.*` and `loralet-general.*` beside a model, the built-in text where there are none.
    pub fn beside_model(files: &[Box<dyn ByteSource>], model: &str) -> Result<GeneralFiles> {
        let beside = |prefix: &str, built_in: GeneralText| -> Result<GeneralText> {
            let mut found = Vec::new();
            for file in files.iter().filter(|file| base_name(file.name()).starts_with(prefix)) {
                let mut bytes = vec![0; file.len() as usize];
                file.read_at(0, &mut bytes)?;
                found.push((base_name(file.name()).to_string(), bytes));
            }
            // The order in which a folder is listed must not matter.
            found.sort();
            let name = format!("the text that came with {model}");
            Ok(if found.is_empty() { built_in } else { GeneralText { name, files: found } })
        };
        Ok(GeneralFiles {
            probe: beside("loralet-probe.", GeneralText::built_in_probe())?,
            rows: beside("loralet-general.", GeneralText::built_in_rows())?,
        })
    }
}

fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

impl Session {
    /// Measures forgetting by this file instead, from the next run on.
    ///
    /// # Errors
    /// No model yet; a file that cannot be read, or is neither text nor questions with answers.
    pub fn open_probe(&mut self, file_name: &str, bytes: &[u8]) -> Result<ProbeSummary> {
        let files = vec![(file_name.to_string(), bytes.to_vec())];
        let text = GeneralText { name: file_name.into(), files };
        let summary = self.probe(&text)?.summary;
        self.own_probe = Some(text);
        Ok(summary)
    }

    /// Goes back to the model's own probe, or the built-in one.
    pub fn close_probe(&mut self) {
        self.own_probe = None;
    }

    /// What a run with this recipe is measured by. A model with a `score` head writes nothing that it could forget.
    pub(super) fn probe_for(&self, recipe: &Recipe) -> Result<Option<Probe>> {
        if !recipe.eval.probe || !recipe.objective.writes_text() {
            return Ok(None);
        }
        let text = self.own_probe.as_ref().unwrap_or(&self.model()?.general.probe);
        self.probe(text).map(Some)
    }

    /// What a run with this recipe can mix in.
    pub(super) fn general_for(&self, recipe: &Recipe) -> Result<Vec<Example>> {
        if recipe.data.general_fraction == 0.0 {
            return Ok(Vec::new());
        }
        let model = self.model()?;
        let longest = model.base.max_position_embeddings().min(recipe.train.max_seq_length);
        model.general.rows.encode(&model.tokenizer, longest)
    }

    fn probe(&self, text: &GeneralText) -> Result<Probe> {
        let model = self.model()?;
        Probe::new(text, &model.tokenizer, model.base.max_position_embeddings())
    }
}
