//! Answers that a reward model thinks well of, one trained with the objective `reward`.

use super::judge;
use crate::data::{Task, Tokenizer};
use crate::error::Result;
use crate::models::Decoder;

/// The number that the model gives each answer after its prompt; any number.
///
/// # Errors
/// A prompt and answer longer than the model's positions; a device that stops answering.
pub async fn rewards(
    model: &Decoder,
    task: &Task,
    answers: &[String],
    tokenizer: &Tokenizer,
) -> Result<Vec<f64>> {
    let rewards = judge::rewards(model, tokenizer, &task.prompt, answers).await?;
    Ok(rewards.into_iter().map(f64::from).collect())
}
