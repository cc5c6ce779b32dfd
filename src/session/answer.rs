//! Asking a model: answers and logits, with or without the adapter.

use super::Session;
use crate::data::Message;
use crate::error::{Error, Result};
use crate::generate::{Answer, Sampling, generate};
use serde::{Deserialize, Serialize};

/// What to answer, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct GenerateRequest {
    /// A conversation, rendered by the model's chat template.
    pub messages: Option<Vec<Message>>,
    /// One user message; with `raw`, text to continue as it stands.
    pub prompt: Option<String>,
    pub raw: bool,
    /// Answer with the adapter attached, or as the base.
    pub adapter: bool,
    pub max_new_tokens: usize,
    #[serde(flatten)]
    pub sampling: Sampling,
}

impl Default for GenerateRequest {
    fn default() -> Self {
        GenerateRequest {
            messages: None,
            prompt: None,
            raw: false,
            adapter: true,
            max_new_tokens: 128,
            sampling: Sampling::default(),
        }
    }
}

impl Session {
    /// Answers a prompt; see [`generate`].
    ///
    /// # Errors
    /// No model yet; no adapter where one is asked for; a prompt too long.
    pub async fn generate(
        &self,
        request: &GenerateRequest,
        on_text: impl AsyncFnMut(&str) -> Result<bool>,
    ) -> Result<Answer> {
        let model = self.model()?;
        let text = request.prompt.clone().unwrap_or_default();
        let prompt = match (&request.messages, request.raw) {
            (None, true) => model.tokenizer.encode(&text, true)?,
            (None, false) => {
                model.tokenizer.encode_chat(&[Message { role: "user".into(), content: text }], true)?
            }
            (Some(messages), _) => model.tokenizer.encode_chat(messages, true)?,
        };
        let tuned = if request.adapter { self.trainable()?.tuned(&model.base) } else { model.base.clone() };
        generate(
            &tuned,
            &model.tokenizer,
            &prompt,
            &model.end_ids,
            request.max_new_tokens,
            request.sampling.clone(),
            on_text,
        )
        .await
    }

    /// Logits after each token of a sequence, `[seq, vocab]` row-major, for comparing with
    /// other implementations.
    ///
    /// # Errors
    /// No model yet; no adapter where one is asked for; an id outside the vocabulary.
    pub async fn logits(&self, input_ids: &[u32], adapter: bool) -> Result<Vec<f32>> {
        let model = self.model()?;
        let config = &model.base.config;
        let fits = input_ids.len() <= config.max_position_embeddings
            && !input_ids.is_empty()
            && input_ids.iter().all(|&id| (id as usize) < config.vocab_size);
        if !fits {
            return Err(Error::Tokenizer {
                reason: format!(
                    "token ids must be 1 to {} ids below {}",
                    config.max_position_embeddings, config.vocab_size
                ),
            });
        }
        let tuned = if adapter { self.trainable()?.tuned(&model.base) } else { model.base.clone() };
        let positions: Vec<u32> = (0..input_ids.len() as u32).collect();
        let hidden = tuned.forward(&crate::models::Input {
            input_ids,
            position_ids: &positions,
            document_ids: &vec![1; input_ids.len()],
            batch: 1,
            seq: input_ids.len(),
        });
        crate::eval::read(crate::models::head::logits(hidden, tuned.head())).await
    }
}
