//! Asking a model with a `score` head: the class of a text, the reward of an answer.

use crate::data::{Message, Tokenizer};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::{Decoder, Input, Model};
use serde::{Deserialize, Serialize};

/// A class, and how likely a model finds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct LabelProbability {
    pub label: String,
    pub probability: f64,
}

/// Every class with its probability, in the order of the head's rows.
///
/// # Errors
/// A text that is empty or longer than the model's positions; a device that stops answering.
pub async fn probabilities(
    model: &Model,
    tokenizer: &Tokenizer,
    text: &str,
) -> Result<Vec<LabelProbability>> {
    if text.trim().is_empty() {
        return Err(Error::Prompt { reason: "the text is empty; write something to classify".into() });
    }
    let scores = scores(model, &[tokenizer.encode(text, true)?]).await?.remove(0);
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f64> = scores.iter().map(|&score| ((score - top) as f64).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let labels = model.labels().cloned().unwrap_or_default();
    let pairs = labels.into_iter().zip(weights);
    Ok(pairs.map(|(label, weight)| LabelProbability { label, probability: weight / sum }).collect())
}

/// What a reward model gives each of some answers to one prompt, each rendered after the prompt by the
/// chat template, as the objective `reward` trains it. All answers go through the model
/// together.
///
/// # Errors
/// A conversation that the chat template refuses, or that is longer than the model's positions; a
/// device that stops answering.
pub async fn rewards(
    model: &Decoder,
    tokenizer: &Tokenizer,
    prompt: &[Message],
    answers: &[String],
) -> Result<Vec<f32>> {
    let whole = |answer: &String| {
        let messages = [prompt, &[Message::new("assistant", answer)]].concat();
        tokenizer.encode_chat(&messages, false)
    };
    let rows = answers.iter().map(whole).collect::<Result<Vec<Vec<u32>>>>()?;
    Ok(scores(&model.clone().into(), &rows).await?.into_iter().map(|scores| scores[0]).collect())
}

/// The head's `num_labels` numbers for each row of token ids.
async fn scores(model: &Model, rows: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
    let seq = rows.iter().map(Vec::len).max().unwrap_or(0);
    let room = model.max_position_embeddings();
    if seq == 0 || seq > room {
        return Err(Error::Prompt {
            reason: match seq {
                0 => "the text has no tokens; write something to judge".into(),
                _ => format!("the text has {seq} tokens, but the model has positions for {room}; shorten it"),
            },
        });
    }
    let padded = |of: &dyn Fn(&Vec<u32>, usize) -> u32| -> Vec<u32> {
        rows.iter().flat_map(|row| (0..seq).map(|i| of(row, i)).collect::<Vec<u32>>()).collect()
    };
    let scores = model.scores(&Input {
        input_ids: &padded(&|row, i| row.get(i).copied().unwrap_or(0)),
        position_ids: &padded(&|_, i| i as u32),
        document_ids: &padded(&|row, i| (i < row.len()) as u32),
        batch: rows.len(),
        seq,
    });
    let [_, labels] = scores.dims();
    Ok(read(scores).await?.chunks(labels).map(<[f32]>::to_vec).collect())
}
