//! [`Session`] asked: answers and logits, with or without the adapter.

use super::Session;
use crate::data::Message;
use crate::error::{Error, Result};
use crate::generate::{Answer, Sampling, generate};
use crate::kernels::readback::read;
use crate::models::{Input, Model, head};
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
    /// The adapter at so many times its strength, from 0 to 2. Default 1.
    #[cfg_attr(test, ts(optional, as = "Option<f64>"))]
    pub strength: f64,
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
            strength: 1.0,
            max_new_tokens: 128,
            sampling: Sampling::default(),
        }
    }
}

impl Session {
    /// Answers a prompt; see [`generate`]. A classifier answers with the classes of the last message, a
    /// reward model with what it gives the last message, which must be an assistant's.
    ///
    /// # Errors
    /// A sampling setting out of its range; no model yet; no adapter where one is asked for; a prompt too long.
    pub async fn generate(
        &self,
        request: &GenerateRequest,
        on_text: impl AsyncFnMut(&str) -> Result<bool>,
    ) -> Result<Answer> {
        request.sampling.check()?;
        let model = self.model()?;
        let answering = self.answering_at(request.adapter, request.strength)?;
        let text = request.prompt.clone().unwrap_or_default();
        let said = vec![Message::new("user", text.clone())];
        if answering.score().is_some() {
            return self.judge(&answering, request.messages.as_deref().unwrap_or(&said)).await;
        }
        let Model::Decoder(answering) = answering else {
            return Err(Error::Prompt {
                reason: "the model is an encoder, which writes no text; ask a language model, or compare texts by their \
                         embeddings"
                    .into(),
            });
        };
        let prompt = model.prompt_ids(request.messages.as_deref(), &text, request.raw)?;
        generate(
            &answering,
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
    /// other implementations; of a model with a `score` head its scores, `[num_labels]`, and of an encoder the
    /// embedding, `[hidden]`.
    ///
    /// # Errors
    /// No model yet; no adapter where one is asked for; an id outside the vocabulary.
    pub async fn logits(&self, input_ids: &[u32], adapter: bool) -> Result<Vec<f32>> {
        let model = self.model()?;
        let (room, vocab_size) = (model.base.max_position_embeddings(), model.base.vocab_size());
        let fits = input_ids.len() <= room
            && !input_ids.is_empty()
            && input_ids.iter().all(|&id| (id as usize) < vocab_size);
        if !fits {
            return Err(Error::Tokenizer {
                reason: format!("token ids must be 1 to {room} ids below {vocab_size}"),
            });
        }
        let answering = self.answering(adapter)?;
        let positions: Vec<u32> = (0..input_ids.len() as u32).collect();
        let input = Input {
            input_ids,
            position_ids: &positions,
            document_ids: &vec![1; input_ids.len()],
            batch: 1,
            seq: input_ids.len(),
        };
        if answering.score().is_some() {
            return read(answering.scores(&input)).await;
        }
        let answering = match &answering {
            Model::Decoder(decoder) => decoder,
            Model::Encoder(_) => return read(answering.embeddings(&input)).await,
        };
        read(head::logits(answering.forward(&input), answering.head())).await
    }
}
