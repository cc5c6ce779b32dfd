//! What a step computes at its largest: the rows of its micro-batches, and what an objective does beside them.

use crate::adapters::frozen_blocks;
use crate::data::batch::BatchRow;
use crate::data::encode::{Example, Preference};
use crate::models::{Model, Trunk};
use crate::recipe::{Objective, Recipe, RewardKind};
use burn::tensor::Device;

/// A run's largest micro-batch, and what is computed beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Largest {
    /// Rows that a loss is taken back through at a time: of a pair both answers, of texts that are compared all.
    pub batch: u64,
    /// Tokens of a row, padding included.
    pub seq: u64,
    /// The most tokens whose losses are computed.
    pub targets: u64,
    /// Rows of `kto` that are kept until the loss, and not taken back: prompts with other prompts' answers.
    pub mismatched: u64,
    /// Rows that the model as it was before goes through at a time; 0 without.
    pub reference: u64,
    /// What `grpo` samples before its loss.
    pub sampled: Option<Sampled>,
    /// Whether a step has several micro-batches, whose gradients are added up.
    pub accumulates: bool,
    /// Whether attention keeps its probabilities, as on the CPU.
    pub keeps_probabilities: bool,
    /// Tokens whose hidden states are kept from one epoch to the next.
    pub trunk: u64,
}

/// Answers that are sampled to one prompt together.
#[derive(Debug, Clone, Copy)]
pub struct Sampled {
    pub answers: u64,
    /// Tokens of the longest prompt.
    pub prompt: u64,
    /// Tokens of the longest prompt with its longest answer.
    pub whole: u64,
    /// Whether a reward model reads them.
    pub judged: bool,
}

impl Largest {
    /// For a run over these rows; `order` are the micro-batches of one epoch. In another epoch the longest row may lie in the
    /// fullest batch, so that each is taken by itself.
    pub fn of(
        order: &[Vec<BatchRow>],
        train: &[Example],
        validation: &[Example],
        recipe: &Recipe,
        base: &Model,
    ) -> Largest {
        let rows = order.iter().map(Vec::len).max().unwrap_or(0) as u64;
        let most = recipe.train.max_seq_length as u64;
        let of_row = |row: &BatchRow| row.examples.iter().map(|&index| train[index].longest()).sum::<usize>();
        let longest = order.iter().flatten().map(of_row).max().unwrap_or(0) as u64;
        let step = if recipe.train.packing { 64 } else { 8 };
        let seq = |longest: u64| longest.min(most).next_multiple_of(step).min(most.next_multiple_of(8));
        let has_negative = |example: &Example| {
            example.contrast.as_ref().is_some_and(|contrast| contrast.negative().is_some())
        };
        let of_text = if train.iter().any(has_negative) { 3 } else { 2 };
        let mut largest = Largest {
            batch: rows,
            seq: seq(longest),
            accumulates: recipe.train.gradient_accumulation_steps > 1 && order.len() > 1,
            keeps_probabilities: base.device() == Device::flex(),
            trunk: trunk(train.iter().chain(validation), recipe, base) as u64,
            ..Largest::default()
        };
        let mut targets = rows * train.iter().map(targets).max().unwrap_or(0);
        match recipe.objective {
            Objective::Text | Objective::Sft if recipe.train.packing => targets = rows * largest.seq,
            Objective::Text | Objective::Sft => {}
            Objective::Dpo => (largest.batch, largest.reference) = (2 * rows, 2 * rows),
            Objective::Orpo => {
                largest.batch = 2 * rows;
                // Prompts are learned too.
                targets = 2 * rows * largest.seq;
            }
            Objective::Reward => largest.batch = 2 * rows,
            Objective::Kto => {
                (largest.mismatched, largest.reference) = (rows, rows);
                largest.seq = seq(longest.max(mismatched(train)));
            }
            Objective::Grpo => {
                let sampled = sampled(train, recipe, base);
                largest.batch = (rows * sampled.answers).min(recipe.train.batch_size as u64);
                largest.reference = largest.batch;
                largest.seq = sampled.whole.next_multiple_of(8);
                largest.accumulates = rows * sampled.answers > largest.batch || largest.accumulates;
                targets = largest.batch * (sampled.whole - sampled.prompt.min(sampled.whole));
                largest.sampled = Some(sampled);
            }
            Objective::Classify => {}
            Objective::Contrastive => largest.batch = of_text * rows,
        }
        if recipe.train.kl_to_base > 0.0 {
            largest.reference = largest.batch;
        }
        largest.targets = targets.min(largest.batch * largest.seq);
        largest
    }

    /// Tokens of the rows that a loss is taken back through.
    pub fn tokens(&self) -> u64 {
        self.batch.saturating_mul(self.seq)
    }
}

/// Tokens of all rows, of which there is room for the hidden states after the frozen blocks; 0 where no block is frozen, and of
/// answers, which are new at each step.
fn trunk<'a>(examples: impl Iterator<Item = &'a Example>, recipe: &Recipe, base: &Model) -> usize {
    let is_used = !base.is_encoder() && recipe.objective != Objective::Grpo;
    if !is_used || frozen_blocks(base, recipe.method) == 0 {
        return 0;
    }
    let tokens = |example: &Example| {
        let rejected = example.rejected().map_or(0, |rejected| rejected.input_ids.len());
        // Without padding, up to fifteen places round up what is computed together.
        example.input_ids.len() + rejected + 16
    };
    Trunk::room(examples.map(tokens).sum(), base.hidden_size())
}

/// Tokens of an example that losses are computed of, of a pair in both answers.
fn targets(example: &Example) -> u64 {
    let count = |mask: &[bool]| mask.iter().filter(|&&trained| trained).count() as u64;
    count(&example.loss_mask) + example.rejected().map_or(0, |rejected| count(&rejected.loss_mask))
}

/// Tokens of the longest prompt with the longest answer to another.
fn mismatched(train: &[Example]) -> u64 {
    let prompt = |example: &Example| example.loss_mask.iter().position(|&trained| trained).unwrap_or(0);
    let rated = || train.iter().filter(|example| matches!(example.preference, Some(Preference::Label(_))));
    let longest = rated().map(prompt).max().unwrap_or(0);
    let answer = rated().map(|example| example.input_ids.len() - prompt(example)).max().unwrap_or(0);
    (longest + answer) as u64
}

fn sampled(train: &[Example], recipe: &Recipe, base: &Model) -> Sampled {
    let prompt = train.iter().map(|example| example.input_ids.len()).max().unwrap_or(0) as u64;
    let room = recipe.train.max_seq_length.min(base.max_position_embeddings()) as u64;
    let whole = (prompt + recipe.grpo.max_completion_length as u64).min(room.max(prompt + 1));
    Sampled {
        answers: recipe.grpo.num_generations as u64,
        prompt,
        whole,
        judged: recipe.grpo.reward == RewardKind::RewardModel,
    }
}
