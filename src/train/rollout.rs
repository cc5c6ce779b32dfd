//! GRPO's phase before the loss: the model answers prompts as it is, and its answers are rewarded. Answers depend on the seed
//! and the place in the run alone, so that a resumed run samples what one that never stopped would have.

use crate::data::batch::{Batch, BatchOptions, BatchRow, collate};
use crate::data::encode::Example;
use crate::data::{Task, Tokenizer};
use crate::error::{Error, Result};
use crate::generate::group::sample_group;
use crate::generate::{Caller, Sampler, Sampling};
use crate::kernels::readback::read;
use crate::metrics::{Evaluation, Metrics, RolloutMetrics};
use crate::models::Model;
use crate::objectives::{grpo, log_probs::fixed_token_log_probs};
use crate::recipe::{GrpoRecipe, Recipe};
use crate::rewards::Reward;
use serde::{Deserialize, Serialize};

/// What it takes to sample and reward answers.
pub struct Rollouts {
    pub recipe: GrpoRecipe,
    max_seq_length: usize,
    batch_size: usize,
    seed: u64,
    tokenizer: Tokenizer,
    stop_ids: Vec<u32>,
    reward: Reward,
    caller: Option<Caller>,
}

/// Answers to one prompt, with what they earned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    prompt: Vec<u32>,
    /// Token ids of each answer, with the token that ends it.
    completions: Vec<Vec<u32>>,
    /// Whether each answer has ended by itself.
    ended: Vec<bool>,
    rewards: Vec<f64>,
    /// The log-probability of each token of all answers when they were sampled; empty where they are learned from once only.
    old_log_probs: Vec<f32>,
}

/// Streams of random numbers: of the training's answers from here on, one an answer.
const TRAINING_STREAMS: u64 = 1 << 32;
/// And of the evaluations'.
const EVALUATION_STREAMS: u64 = 1 << 48;

impl Rollouts {
    pub fn new(
        recipe: &Recipe,
        tokenizer: &Tokenizer,
        stop_ids: &[u32],
        reward: Reward,
        caller: Option<Caller>,
    ) -> Rollouts {
        Rollouts {
            recipe: recipe.grpo.clone(),
            max_seq_length: recipe.train.max_seq_length,
            batch_size: recipe.train.batch_size,
            seed: recipe.train.seed,
            tokenizer: tokenizer.clone(),
            stop_ids: stop_ids.to_vec(),
            reward,
            caller,
        }
    }

    /// The rewarded answers to the prompts of one step; `place` is how many prompts the run has seen before.
    ///
    /// # Errors
    /// A device that stops answering; an answer that cannot be rewarded; a caller who stops.
    pub async fn groups(&self, model: &Model, prompts: &[&Example], place: usize) -> Result<Vec<Group>> {
        let mut groups = Vec::new();
        for (prompt, place) in prompts.iter().zip(place..) {
            groups.push(self.group(model, prompt, self.stream(TRAINING_STREAMS, place)).await?);
        }
        if self.recipe.num_iterations > 1 {
            self.remember(model, &mut groups).await?;
        }
        Ok(groups)
    }

    /// Scores of a model by answers that it samples to held-out prompts, each time by the same random numbers.
    ///
    /// # Errors
    /// A device that stops answering; an answer that cannot be rewarded; a caller who stops.
    pub async fn evaluate(&self, model: &Model, rows: &[Example]) -> Result<Evaluation> {
        let mut groups = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            groups.push(self.group(model, row, self.stream(EVALUATION_STREAMS, place)).await?);
        }
        let metrics = metrics(&groups);
        Ok(Evaluation {
            loss: -metrics.reward,
            metrics: Metrics::Rollout(metrics),
            probe_loss: None,
            tokens: groups.iter().flat_map(|group| &group.completions).map(Vec::len).sum(),
            examples: rows.len(),
        })
    }

    /// Samples answers to one prompt and has them rewarded.
    async fn group(&self, model: &Model, example: &Example, stream: u64) -> Result<Group> {
        let (model, prompt) = (model.decoder()?, &example.input_ids);
        let room = self.max_seq_length.min(model.spec.max_position_embeddings).saturating_sub(prompt.len());
        let sampling =
            Sampling { temperature: self.recipe.temperature, seed: self.seed, ..Sampling::default() };
        let streams = stream..stream + self.recipe.num_generations as u64;
        let mut samplers: Vec<Sampler> =
            streams.map(|stream| Sampler::on_stream(sampling.clone(), stream)).collect();
        let length = self.recipe.max_completion_length.min(room).max(1);
        let go_on = async || {
            Ok(match &self.caller {
                Some(caller) => caller.goes_on().await,
                None => true,
            })
        };
        let completions = sample_group(model, prompt, &self.stop_ids, length, &mut samplers, go_on).await?;
        let completions = completions.ok_or(Error::Stopped)?;
        let texts = completions.iter().map(|completion| self.tokenizer.decode(&completion.ids, true));
        let texts = texts.collect::<Result<Vec<String>>>()?;
        let no_task = Task::default();
        let task = example.task.as_ref().unwrap_or(&no_task);
        let rewards = self.reward.of(task, &texts, &self.tokenizer).await?;
        if rewards.iter().any(|reward| !reward.is_finite()) {
            return Err(Error::Training {
                reason: "an answer's reward is not a number; train the reward model again, at a lower rate"
                    .into(),
            });
        }
        Ok(Group {
            prompt: prompt.clone(),
            ended: completions.iter().map(|completion| completion.ended).collect(),
            completions: completions.into_iter().map(|completion| completion.ids).collect(),
            rewards,
            old_log_probs: Vec::new(),
        })
    }

    /// Notes how likely the answers were when they were sampled.
    async fn remember(&self, model: &Model, groups: &mut [Group]) -> Result<()> {
        let mut log_probs = Vec::new();
        for batch in batches(groups, self.batch_size) {
            let found = fixed_token_log_probs(model.decoder()?, &batch, self.recipe.temperature);
            log_probs.extend(read(found).await?);
        }
        for group in groups {
            let rest = log_probs.split_off(group.completions.iter().map(Vec::len).sum());
            group.old_log_probs = std::mem::replace(&mut log_probs, rest);
        }
        Ok(())
    }

    /// The first of a prompt's streams, one an answer.
    fn stream(&self, first: u64, place: usize) -> u64 {
        first + (place * self.recipe.num_generations) as u64
    }
}

/// The answers of some groups with their advantages, in micro-batches of `batch_size` answers.
pub fn batches(groups: &[Group], batch_size: usize) -> Vec<Batch> {
    let (mut examples, mut advantages) = (Vec::new(), Vec::new());
    for Group { prompt, completions, rewards, .. } in groups {
        advantages.extend(grpo::advantages(rewards).into_iter().map(|advantage| advantage as f32));
        for completion in completions {
            let loss_mask = [vec![false; prompt.len()], vec![true; completion.len()]].concat();
            let input_ids = [prompt.as_slice(), completion].concat();
            examples.push(Example { loss_mask, ..Example::of_text(input_ids, 0) });
        }
    }
    let mut old_log_probs = groups.iter().flat_map(|group| &group.old_log_probs).copied();
    let options = BatchOptions {
        batch_size,
        max_seq_length: examples.iter().map(|example| example.input_ids.len()).max().unwrap_or(0),
        packing: false,
        pad_token_id: 0,
    };
    let answers: Vec<BatchRow> =
        (0..examples.len()).map(|index| BatchRow { examples: vec![index] }).collect();
    let of_rows = |rows: &[BatchRow]| {
        let mut batch = collate(&examples, rows, &options);
        batch.advantages = rows.iter().map(|row| advantages[row.examples[0]]).collect();
        batch.old_log_probs = old_log_probs.by_ref().take(batch.supervised_tokens).collect();
        batch
    };
    answers.chunks(batch_size).map(of_rows).collect()
}

/// What the answers of some groups earned.
pub fn metrics(groups: &[Group]) -> RolloutMetrics {
    let rewards: Vec<f64> = groups.iter().flat_map(|group| group.rewards.clone()).collect();
    let answers = rewards.len().max(1) as f64;
    let mean = rewards.iter().sum::<f64>() / answers;
    let squares: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    let is_even =
        |group: &&Group| group.rewards.iter().all(|reward| (reward - group.rewards[0]).abs() < 1e-8);
    let even = groups.iter().filter(is_even).count();
    let tokens: usize = groups.iter().flat_map(|group| &group.completions).map(Vec::len).sum();
    let cut = groups.iter().flat_map(|group| &group.ended).filter(|&&ended| !ended).count();
    RolloutMetrics {
        reward: mean,
        reward_std: (squares / (answers - 1.0).max(1.0)).sqrt(),
        frac_reward_zero_std: even as f64 / groups.len().max(1) as f64,
        completion_length: tokens as f64 / answers,
        truncated: cut as f64 / answers,
        kl: None,
        clip_ratio: None,
    }
}
