//! [`Session`] asked what comes next: the likeliest next tokens after a text, and how likely the text itself is.

use super::Session;
use crate::data::{Message, Tokenizer};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::{Input, Model, head};
use serde::{Deserialize, Serialize};

/// What is to be predicted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PredictRequest {
    /// A conversation, rendered by the model's chat template up to where an answer begins.
    pub messages: Option<Vec<Message>>,
    /// One user message; with `raw`, text to continue as it stands.
    pub prompt: Option<String>,
    pub raw: bool,
    /// What follows the prompt: each of its tokens is judged. May be empty.
    pub text: String,
    /// Predict with the adapter attached, or as the base.
    pub adapter: bool,
    /// The adapter at so many times its strength, from 0 to 2. Default 1.
    #[cfg_attr(test, ts(optional, as = "Option<f64>"))]
    pub strength: f64,
    /// How many next tokens are told.
    pub most: usize,
}

/// What a model thinks of a text, and of what could come after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Predictions {
    /// The tokens of `text`, each with its probability after all before it.
    pub text: Vec<TokenProbability>,
    /// The likeliest tokens after prompt and text, the likeliest first.
    pub next: Vec<TokenProbability>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct TokenProbability {
    /// As it is read after the token before it, its space included; � where it is no whole character.
    pub token: String,
    /// From 0 to 1.
    pub probability: f64,
}

impl Default for PredictRequest {
    fn default() -> Self {
        PredictRequest {
            messages: None,
            prompt: None,
            raw: false,
            text: String::new(),
            adapter: true,
            strength: 1.0,
            most: 8,
        }
    }
}

/// Rows of logits that are on the device together: 64 of a vocabulary of 152,000 are 39 MB.
const ROWS: usize = 64;

impl Session {
    /// # Errors
    /// No model yet, or one that writes no text; no adapter where one is asked for; an empty prompt, or prompt and text
    /// longer than the model's positions; a device that stops answering.
    pub async fn predict(&self, request: &PredictRequest) -> Result<Predictions> {
        let model = self.model()?;
        let tokenizer = &model.tokenizer;
        let decoder = match self.answering_at(request.adapter, request.strength)? {
            Model::Decoder(decoder) if decoder.score.is_none() => decoder,
            _ => {
                return Err(Error::Prompt {
                    reason: "the model judges or compares whole texts and predicts no next token; open a language model"
                        .into(),
                });
            }
        };
        let mut ids = model.prompt_ids(
            request.messages.as_deref(),
            request.prompt.as_deref().unwrap_or_default(),
            request.raw,
        )?;
        let begin = ids.len();
        ids.extend(tokenizer.encode(&request.text, false)?);
        let room = decoder.spec.max_position_embeddings;
        if begin == 0 || ids.len() > room {
            return Err(Error::Tokenizer {
                reason: match begin {
                    0 => "the prompt is empty; write something to go on from".into(),
                    _ => format!(
                        "the prompt and its text have {} tokens, but the model has positions for {room}; shorten them",
                        ids.len()
                    ),
                },
            });
        }

        let positions: Vec<u32> = (0..ids.len() as u32).collect();
        let hidden = decoder.forward(&Input {
            input_ids: &ids,
            position_ids: &positions,
            document_ids: &vec![1; ids.len()],
            batch: 1,
            seq: ids.len(),
        }); // [seq, hidden]
        let mut predictions = Predictions { text: Vec::new(), next: Vec::new() };
        let mut first = begin - 1;
        while first < ids.len() {
            let rows = ROWS.min(ids.len() - first);
            let logits = read(head::logits(hidden.clone().narrow(0, first, rows), decoder.head())).await?;
            let vocabulary = logits.len() / rows;
            for (row, logits) in logits.chunks(vocabulary).enumerate() {
                let position = first + row;
                let probabilities = softmax(logits);
                let told = |id: u32| -> Result<TokenProbability> {
                    let token = text_of(tokenizer, ids[position], id)?;
                    Ok(TokenProbability { token, probability: probabilities[id as usize] })
                };
                match ids.get(position + 1) {
                    Some(&id) => predictions.text.push(told(id)?),
                    None => {
                        let likeliest = likeliest(&probabilities, request.most);
                        predictions.next = likeliest.into_iter().map(told).collect::<Result<_>>()?;
                    }
                }
            }
            first += rows;
        }
        Ok(predictions)
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The ids of the highest probabilities, the highest first; of equal ones the lower id.
fn likeliest(probabilities: &[f64], most: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..probabilities.len() as u32).collect();
    ids.sort_by(|&a, &b| probabilities[b as usize].total_cmp(&probabilities[a as usize]).then(a.cmp(&b)));
    ids.truncate(most);
    ids
}

/// Decoders leave the space before the first token out, so the token is read after the one before it.
fn text_of(tokenizer: &Tokenizer, before: u32, id: u32) -> Result<String> {
    let (alone, both) = (tokenizer.decode(&[before], false)?, tokenizer.decode(&[before, id], false)?);
    match both.strip_prefix(&alone) {
        Some(text) => Ok(text.to_string()),
        None => tokenizer.decode(&[id], false),
    }
}
