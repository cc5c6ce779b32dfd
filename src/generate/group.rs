//! Several answers to one prompt, sampled together.

use super::prompt::{Prompt, read_prompt};
use super::sampler::{Sampler, next_tokens};
use crate::error::Result;
use crate::models::{Decoder, head};

/// One sampled answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// With the token that ends it, where it has ended.
    pub ids: Vec<u32>,
    /// False where it was cut because it was too long.
    pub ended: bool,
}

/// An answer of at most `max_new_tokens` tokens for each sampler. All of them go through the model together, and the prompt
/// does so once; each answer depends on its own sampler alone, up to how the device rounds. `None` where `go_on`, which is
/// asked before each token, says no.
///
/// # Errors
/// A device that stops answering; whatever `go_on` reports.
pub async fn sample_group(
    model: &Decoder,
    prompt: &[u32],
    stop_ids: &[u32],
    max_new_tokens: usize,
    samplers: &mut [Sampler],
    mut go_on: impl AsyncFnMut() -> Result<bool>,
) -> Result<Option<Vec<Completion>>> {
    let mut completions = vec![Completion { ids: Vec::new(), ended: false }; samplers.len()];
    let Some(Prompt { mut caches, hidden }) = read_prompt(model, prompt, &mut go_on).await? else {
        return Ok(None);
    };
    // Which answers go on, in the order in which the caches hold them.
    let mut going: Vec<usize> = (0..samplers.len()).collect();
    caches.iter_mut().for_each(|cache| cache.select(&vec![0; going.len()]));
    // At first one row for all of them.
    let mut logits = head::logits(hidden, model.head());
    for length in 1..=max_new_tokens {
        let unfinished = samplers.iter_mut().zip(&completions).filter(|(_, completion)| !completion.ended);
        let ids = next_tokens(logits, unfinished.map(|(sampler, _)| sampler)).await?;
        let mut places = Vec::new();
        for (place, (&answer, &id)) in going.iter().zip(&ids).enumerate() {
            completions[answer].ids.push(id);
            completions[answer].ended = stop_ids.contains(&id);
            if !completions[answer].ended {
                places.push(place as u32);
            }
        }
        if places.is_empty() || length == max_new_tokens {
            break;
        }
        if !go_on().await? {
            return Ok(None);
        }
        if places.len() < going.len() {
            caches.iter_mut().for_each(|cache| cache.select(&places));
            going = places.iter().map(|&place| going[place as usize]).collect();
        }
        let next: Vec<u32> = places.iter().map(|&place| ids[place as usize]).collect();
        let hidden = model.forward_cached(&next, next.len(), &mut caches); // [answers, hidden]
        logits = head::logits(hidden, model.head());
    }
    Ok(Some(completions))
}
