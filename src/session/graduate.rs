//! [`Session`] giving out a run to go on with elsewhere.

use super::Session;
use crate::data::{Example, split};
use crate::error::Result;
use crate::export::{OutputFile, card, graduate};
use crate::recipe::Recipe;
use crate::weights::SourceFormat;

impl Session {
    /// A Python project that goes on with the run, its rows, recipe and adapter, on one GPU or many; where the adapter was loaded,
    /// with the open data and this recipe. See [`graduate`].
    ///
    /// # Errors
    /// No model, data or adapter; a recipe that it cannot go on with; a device that stops answering.
    pub async fn graduate_files(&self, recipe: &Recipe) -> Result<Vec<OutputFile>> {
        let model = self.model()?;
        let of_open;
        let (recipe, train, validation) = match &self.trainer {
            Some(trainer) => (&trainer.plan.recipe, &trainer.train, &trainer.validation),
            None => {
                of_open = self.examples_for(recipe)?;
                (recipe, &of_open.0, &of_open.1)
            }
        };
        let mut adapter = self.adapter_files().await?;
        // Beside a run the adapter's files have the tokenizer already.
        for file in card::tokenizer_files(&model.checkpoint.tokenizer) {
            if adapter.iter().all(|own| own.name != file.name) {
                adapter.push(file);
            }
        }
        graduate::files(graduate::Run {
            recipe,
            base: &model.name,
            from_gguf: model.checkpoint.format == SourceFormat::Gguf,
            adapter,
            train,
            validation,
        })
    }

    /// The open data's rows to train on, and those that a run with this recipe holds out.
    fn examples_for(&self, recipe: &Recipe) -> Result<(Vec<Example>, Vec<Example>)> {
        self.dataset()?.check_objective(recipe.objective)?;
        let examples = self.examples(recipe)?.into_owned();
        Ok(split(examples, recipe.eval.validation_fraction, recipe.train.seed))
    }
}
