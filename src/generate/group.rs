//! Several answers to one prompt, sampled together.

use super::sampler::Sampler;
use crate::error::Result;
use crate::eval::read;
use crate::models::layers::attention::KeyValueCache;
use crate::models::{Llama, head};

/// One sampled answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// With the token that ends it, where it has ended.
    pub ids: Vec<u32>,
    /// False where it was cut because it was too long.
    pub ended: bool,
}

/// An answer of at most `max_new_tokens` tokens for each sampler. All of them go through the model together, and the prompt
/// does so once; each answer depends on its own sampler alone, up to how the device rounds.
///
/// # Errors
/// A device that stops answering.
pub async fn sample_group(
    model: &Llama,
    prompt: &[u32],
    stop_ids: &[u32],
    max_new_tokens: usize,
    samplers: &mut [Sampler],
) -> Result<Vec<Completion>> {
    let mut completions = vec![Completion { ids: Vec::new(), ended: false }; samplers.len()];
    let mut caches = vec![KeyValueCache::default(); model.layers.len()];
    // Which answers go on, in the order in which the caches hold them.
    let mut going: Vec<usize> = (0..samplers.len()).collect();
    let hidden = model.forward_cached(prompt, 1, &mut caches); // [seq, hidden]
    caches.iter_mut().for_each(|cache| cache.select(&vec![0; going.len()]));
    let last = read(head::logits(hidden.narrow(0, prompt.len() - 1, 1), model.head())).await?;
    let vocab = last.len();
    let mut logits = last.repeat(going.len());
    for length in 1..=max_new_tokens {
        let mut places = Vec::new();
        for (place, (&answer, logits)) in going.iter().zip(logits.chunks(vocab)).enumerate() {
            let id = samplers[answer].choose(logits);
            completions[answer].ids.push(id);
            completions[answer].ended = stop_ids.contains(&id);
            if !completions[answer].ended {
                places.push(place as u32);
            }
        }
        if places.is_empty() || length == max_new_tokens {
            break;
        }
        if places.len() < going.len() {
            caches.iter_mut().for_each(|cache| cache.select(&places));
            going = places.iter().map(|&place| going[place as usize]).collect();
        }
        let next: Vec<u32> =
            going.iter().filter_map(|&answer| completions[answer].ids.last().copied()).collect();
        let hidden = model.forward_cached(&next, next.len(), &mut caches); // [answers, hidden]
        logits = read(head::logits(hidden, model.head())).await?;
    }
    Ok(completions)
}
