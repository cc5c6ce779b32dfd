use super::prompt::{Prompt, read_prompt};
use super::sampler::{Sampler, Sampling, next_tokens};
use crate::data::Tokenizer;
use crate::error::{Error, Result};
use crate::models::{Decoder, head};
use crate::rewards::judge::LabelProbability;
use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum StopReason {
    EndOfTurn,
    Length,
    Caller,
    /// It is a label or a reward, not written token by token.
    Judged,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Answer {
    pub text: String,
    pub prompt_tokens: usize,
    pub tokens: usize,
    pub seconds: f64,
    pub stopped: StopReason,
    /// From a classifier: every class. `text` is the likeliest.
    pub labels: Vec<LabelProbability>,
    /// From a reward model: what it gives the answer. `text` is the same number.
    pub reward: Option<f64>,
}

/// Continues a prompt until one of `stop_ids`, `max_new_tokens`, the model's last
/// position, or `on_text` returning false.
///
/// `on_text` receives the text that each token adds; a character whose bytes are spread
/// over several tokens arrives whole, and nothing with the tokens before its last. It is also asked, with no text, while a
/// long prompt is read.
///
/// # Errors
/// An empty prompt, or one longer than the model's positions; a device that stops answering.
pub async fn generate(
    model: &Decoder,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    stop_ids: &[u32],
    max_new_tokens: usize,
    sampling: Sampling,
    mut on_text: impl AsyncFnMut(&str) -> Result<bool>,
) -> Result<Answer> {
    let started = web_time::Instant::now();
    let room = model.spec.max_position_embeddings;
    if prompt.is_empty() || prompt.len() >= room {
        return Err(Error::Tokenizer {
            reason: match prompt.len() {
                0 => "the prompt is empty; write something to answer".into(),
                length => format!(
                    "the prompt has {length} tokens, but the model has positions for {room}; shorten it"
                ),
            },
        });
    }
    let mut sampler = Sampler::new(sampling);
    let (mut ids, mut text) = (Vec::new(), String::new());
    let limit = max_new_tokens.min(room - prompt.len());
    let mut read = read_prompt(model, prompt, &mut async || on_text("").await).await?;
    let mut stopped = if read.is_some() { StopReason::Length } else { StopReason::Caller };
    while let Some(Prompt { caches, hidden }) = &mut read
        && ids.len() < limit
    {
        if let Some(&last) = ids.last() {
            *hidden = model.forward_cached(&[last], 1, caches); // [1, hidden]
        }
        let logits = head::logits(hidden.clone(), model.head());
        let id = next_tokens(logits, [&mut sampler]).await?[0];
        if stop_ids.contains(&id) {
            stopped = StopReason::EndOfTurn;
            break;
        }
        ids.push(id);
        let decoded = tokenizer.decode(&ids, true)?;
        let mut delta = String::new();
        if !decoded.ends_with('\u{fffd}') && decoded.starts_with(text.as_str()) {
            delta = decoded[text.len()..].to_string();
            text = decoded;
        }
        if !on_text(&delta).await? {
            stopped = StopReason::Caller;
            break;
        }
    }
    let text = tokenizer.decode(&ids, true)?;
    Ok(Answer {
        text,
        prompt_tokens: prompt.len(),
        tokens: ids.len(),
        seconds: started.elapsed().as_secs_f64(),
        stopped,
        labels: Vec::new(),
        reward: None,
    })
}
