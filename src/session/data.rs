//! The open data file of a [`Session`]: its rows as the latest recipe has them, and the tokens that they are.

use super::{Session, no};
use crate::data::{
    DataFile, DataReport, DataShape, Dataset, EncodeOptions, Example, PreviewRow, Row, RowContent,
    SkippedRow, Tokenizer, account, classes, curate, encode_dataset, held_out, preview, read_dataset, report,
};
use crate::error::Result;
use crate::recipe::{Fix, Objective, Recipe};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows shown of a data file.
const PREVIEW_ROWS: usize = 8;

/// What the page says of an open data file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DataSummary {
    pub report: DataReport,
    pub preview: Vec<PreviewRow>,
}

/// A data file with what was made of it.
pub(super) struct OpenData {
    /// As the file has it.
    file: Dataset,
    /// The same with `fix` and `max_rows`, which shares the rows that are left as they are.
    dataset: Dataset,
    fix: Vec<Fix>,
    max_rows: Option<usize>,
    /// What the report was made of, until a run takes it.
    encoded: Option<EncodedRows>,
}

/// The rows in tokens, and by what they were encoded.
struct EncodedRows {
    options: EncodeOptions,
    tokenizer: Tokenizer,
    examples: Vec<Example>,
}

impl Session {
    /// Reads a data file and says what is in it.
    ///
    /// # Errors
    /// No model yet; a file that cannot be read, is of mixed shapes, or leaves nothing to train on.
    pub fn open_data(&mut self, file_name: &str, bytes: &[u8], recipe: &Recipe) -> Result<DataSummary> {
        let tokenizer = &self.model()?.tokenizer;
        let file = read_dataset(DataFile { name: file_name, bytes }, recipe.data.mapping.as_ref())?;
        let (dataset, changes) = curate::apply(file.clone(), &recipe.data.fix, recipe.data.max_rows)?;
        if recipe.objective == Objective::Classify && dataset.shape == DataShape::Classification {
            classes(&dataset)?;
        }
        let options = encode_options(recipe);
        let encoded = encode_dataset(&dataset, tokenizer, &options)?;
        let mut report = report(&dataset, &encoded);
        let examples = encoded.examples;
        let is_held_out = held_out(&examples, recipe.eval.validation_fraction, recipe.train.seed);
        let count = is_held_out.iter().filter(|held_out| **held_out).count();
        let places = examples.iter().zip(is_held_out).filter(|(_, held_out)| *held_out);
        let places = places.map(|(example, _)| example.row).collect();
        let used = without_skipped(&dataset, &encoded.skipped);
        report.findings = curate::findings(&used, &places);
        let control_tokens = |text: &str| tokenizer.control_tokens_in(text);
        report.findings.extend(curate::control_tokens::finding(&used, control_tokens));
        report.changes = changes;
        report.account = account(&report, recipe, examples.len() - count, count);
        let summary = DataSummary { report, preview: preview(&dataset, tokenizer, &options, PREVIEW_ROWS)? };
        let encoded = EncodedRows { options, tokenizer: tokenizer.clone(), examples };
        let (fix, max_rows) = (recipe.data.fix.clone(), recipe.data.max_rows);
        self.data = Some(OpenData { file, dataset, fix, max_rows, encoded: Some(encoded) });
        Ok(summary)
    }

    pub(super) fn dataset(&self) -> Result<&Dataset> {
        Ok(&self.open()?.dataset)
    }

    /// Applies the recipe's fixes to the open file's rows, unless they are those of another recipe that asks for the same.
    pub(super) fn curate(&mut self, recipe: &Recipe) -> Result<()> {
        let (fix, max_rows) = (&recipe.data.fix, recipe.data.max_rows);
        if let Some(data) = self.data.as_mut().filter(|data| (&data.fix, data.max_rows) != (fix, max_rows)) {
            let (dataset, _) = curate::apply(data.file.clone(), fix, max_rows)?;
            (data.dataset, data.fix, data.max_rows, data.encoded) = (dataset, fix.clone(), max_rows, None);
        }
        Ok(())
    }

    /// The rows in tokens.
    ///
    /// # Errors
    /// No model or data yet; rows that leave nothing to train on.
    pub(super) fn examples(&self, recipe: &Recipe) -> Result<Cow<'_, [Example]>> {
        let (data, tokenizer) = (self.open()?, &self.model()?.tokenizer);
        let options = encode_options(recipe);
        match data.encoded.as_ref().filter(|encoded| encoded.is_by(&options, tokenizer)) {
            Some(encoded) => Ok(Cow::Borrowed(&encoded.examples)),
            None => Ok(Cow::Owned(encode_dataset(&data.dataset, tokenizer, &options)?.examples)),
        }
    }

    /// The same for a run, which keeps them.
    ///
    /// # Errors
    /// As those of [`Session::examples`].
    pub(super) fn take_examples(&mut self, recipe: &Recipe) -> Result<Vec<Example>> {
        let tokenizer = self.model()?.tokenizer.clone();
        let encoded = self.data.as_mut().and_then(|data| data.encoded.take());
        match encoded.filter(|encoded| encoded.is_by(&encode_options(recipe), &tokenizer)) {
            Some(encoded) => Ok(encoded.examples),
            None => Ok(self.examples(recipe)?.into_owned()),
        }
    }

    fn open(&self) -> Result<&OpenData> {
        self.data.as_ref().ok_or_else(|| no("open data file; open one first"))
    }
}

impl EncodedRows {
    fn is_by(&self, options: &EncodeOptions, tokenizer: &Tokenizer) -> bool {
        self.options == *options && self.tokenizer.encodes_as(tokenizer)
    }
}

/// The data set with nothing in the rows that are not used, each in its place, so that nothing is found in them.
fn without_skipped<'a>(dataset: &'a Dataset, skipped: &[SkippedRow]) -> Cow<'a, Dataset> {
    let mut used = Cow::Borrowed(dataset);
    for skipped in skipped {
        let row = &mut used.to_mut().rows[skipped.row];
        *row = Arc::new(Row { line: row.line, content: RowContent::Text(String::new()) });
    }
    used
}

fn encode_options(recipe: &Recipe) -> EncodeOptions {
    EncodeOptions {
        objective: recipe.objective,
        max_seq_length: recipe.train.max_seq_length,
        train_on_prompt: recipe.data.train_on_prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::BaseDtype;
    use crate::session::Limits;
    use crate::weights::ByteSource;
    use crate::weights::source::FileSource;
    use burn::tensor::Device;
    use std::collections::BTreeSet;

    /// A session with the bundled model and a small file.
    fn session(recipe: &Recipe) -> Session {
        let public = |name: &str| format!("{}/www/public/{name}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(public("models/tiny")).unwrap();
        let files = files
            .map(|file| Box::new(FileSource::open(file.unwrap().path()).unwrap()) as Box<dyn ByteSource>);
        let mut session = Session::new(Device::flex(), Limits::default());
        session.open_model(files.collect(), "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
        let rows = std::fs::read(public("samples/tiny-duck.jsonl")).unwrap();
        session.open_data("tiny-duck.jsonl", &rows, recipe).unwrap();
        session
    }

    /// Where the examples' tokens lie.
    fn places<'a>(examples: impl IntoIterator<Item = &'a Example>) -> BTreeSet<*const u32> {
        examples.into_iter().map(|example| example.input_ids.as_ptr()).collect()
    }

    #[test]
    fn a_run_learns_from_the_tokens_that_the_report_was_made_of() {
        let recipe = Recipe::default();
        let mut session = session(&recipe);
        let encoded = places(&session.data.as_ref().unwrap().encoded.as_ref().unwrap().examples);
        assert!(matches!(session.examples(&recipe).unwrap(), Cow::Borrowed(_)));
        session.begin(&recipe).unwrap();
        let trainer = session.trainer.as_ref().unwrap();
        assert_eq!(places(trainer.train.iter().chain(&trainer.validation)), encoded);
        // Another cut makes other examples.
        let mut shorter = recipe.clone();
        shorter.train.max_seq_length = 64;
        session.begin(&shorter).unwrap();
        let trainer = session.trainer.as_ref().unwrap();
        assert!(places(&trainer.train).is_disjoint(&encoded));
        assert!(trainer.train.iter().all(|example| example.longest() <= 64));
    }

    #[test]
    fn curation_shares_the_rows_that_it_leaves() {
        let mut recipe = Recipe::default();
        recipe.data.fix = vec![Fix::DropDuplicates, Fix::Redact];
        recipe.data.max_rows = Some(10);
        let mut session = session(&recipe);
        let shared = |session: &Session| {
            let data = session.data.as_ref().unwrap();
            data.dataset.rows.iter().all(|row| data.file.rows.iter().any(|own| Arc::ptr_eq(own, row)))
        };
        assert_eq!(session.dataset().unwrap().rows.len(), 10);
        assert!(shared(&session));
        session.begin(&Recipe::default()).unwrap();
        assert!(session.dataset().unwrap().rows.len() > 10);
        assert!(shared(&session));
    }
}
