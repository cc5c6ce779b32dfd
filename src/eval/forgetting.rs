//! Forgetting: how a model's loss on text that is not the task's changes while it learns the task.

use super::loss;
use crate::data::batch::BatchOptions;
use crate::data::encode::Example;
use crate::data::{GeneralText, Tokenizer};
use crate::error::Result;
use crate::models::Model;
use crate::objectives::Loss;
use crate::recipe::{Objective, Recipe};
use serde::{Deserialize, Serialize};

/// Texts, and questions with answers, that a model is scored on before training and at each evaluation.
#[derive(Debug, Clone)]
pub struct Probe {
    pub summary: ProbeSummary,
    examples: Vec<Example>,
    options: BatchOptions,
}

/// What the page says of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ProbeSummary {
    pub name: String,
    pub examples: usize,
    /// Target tokens: all of a text, the answer of a question.
    pub tokens: usize,
}

/// Sequences scored at a time: texts differ in length, and padding costs as much as text.
const BATCH_SIZE: usize = 4;

impl Probe {
    /// # Errors
    /// A file that cannot be read, or whose rows are neither text nor questions with answers.
    pub fn new(text: &GeneralText, tokenizer: &Tokenizer, max_position_embeddings: usize) -> Result<Probe> {
        let mut examples = text.encode(tokenizer, max_position_embeddings)?;
        // Rows of like length lie together, whatever their order in the files.
        examples.sort_by_key(|example| example.input_ids.len());
        let summary = ProbeSummary {
            name: text.name.clone(),
            examples: examples.len(),
            tokens: examples.iter().map(Example::trained_tokens).sum(),
        };
        let options = BatchOptions {
            batch_size: BATCH_SIZE,
            max_seq_length: max_position_embeddings,
            packing: false,
            pad_token_id: tokenizer.pad_token_id(),
        };
        Ok(Probe { summary, examples, options })
    }

    /// Mean cross-entropy over the probe's target tokens, in nats. Draws no random number.
    ///
    /// # Errors
    /// A device that stops answering.
    pub async fn loss(&self, model: &Model) -> Result<f64> {
        let recipe = Recipe { objective: Objective::Text, ..Recipe::default() };
        let mean = Loss::new(&recipe, model);
        let (mut sum, mut tokens) = (0.0, 0);
        for examples in self.examples.chunks(BATCH_SIZE) {
            let part = loss(model, examples, &self.options, &mean).await?;
            sum += part.loss * part.tokens as f64;
            tokens += part.tokens;
        }
        Ok(sum / tokens.max(1) as f64)
    }
}
