//! Losses: pure functions of (model, batch). No state, no IO, no random numbers.

pub mod classify;
pub mod contrastive;
pub mod dpo;
pub mod grpo;
pub mod kl;
pub mod kto;
pub(crate) mod log_probs;
pub mod orpo;
pub mod reward;
pub mod sft;
mod share;
pub mod text;

pub use share::Share;

use crate::data::batch::Batch;
use crate::metrics::{
    ClassificationMetrics, Counts, Metrics, PreferenceMetrics, RewardMetrics, RolloutMetrics, TokenMetrics,
};
use crate::models::Model;
use crate::recipe::{GrpoRecipe, Objective, PreferenceRecipe, Recipe};
use burn::tensor::Tensor;

/// The loss of a run: its objective, with the settings and the reference model that it needs.
#[derive(Debug, Clone)]
pub struct Loss {
    objective: Objective,
    preference: PreferenceRecipe,
    grpo: GrpoRecipe,
    /// The model as it was before training.
    reference: Model,
    /// `train.kl_to_base`.
    kl_to_base: f64,
    /// `contrastive.scale`.
    scale: f64,
    /// The classes, where the objective is to tell them apart.
    labels: Vec<String>,
}

impl Loss {
    pub fn new(recipe: &Recipe, base: &Model) -> Loss {
        Loss {
            objective: recipe.objective,
            preference: recipe.preference.clone(),
            grpo: recipe.grpo.clone(),
            reference: base.clone(),
            kl_to_base: recipe.train.kl_to_base,
            scale: recipe.contrastive.scale,
            labels: base.labels().cloned().unwrap_or_default(),
        }
    }

    /// The objective alone, without what holds a run to its base: what a model is scored by.
    pub fn without_penalty(&self) -> Loss {
        Loss { kl_to_base: 0.0, ..self.clone() }
    }

    /// What a batch contributes to the counts that the loss is a mean over.
    pub fn counts(&self, batch: &Batch) -> Counts {
        let pairs = batch.batch / 2;
        let liked = batch.labels.iter().filter(|&&label| label).count();
        match self.objective {
            Objective::Text | Objective::Sft => {
                Counts { tokens: batch.supervised_tokens, ..Counts::default() }
            }
            Objective::Classify => Counts { texts: batch.batch, ..Counts::default() },
            Objective::Grpo => {
                Counts { tokens: batch.supervised_tokens, texts: batch.batch, ..Counts::default() }
            }
            Objective::Contrastive => Counts { texts: batch.anchors, ..Counts::default() },
            Objective::Dpo | Objective::Reward => {
                Counts { chosen: pairs, rejected: pairs, ..Counts::default() }
            }
            Objective::Orpo => Counts {
                tokens: orpo::chosen_tokens(batch),
                chosen: pairs,
                rejected: pairs,
                ..Counts::default()
            },
            Objective::Kto => {
                Counts { chosen: liked, rejected: batch.labels.len() - liked, ..Counts::default() }
            }
        }
    }

    /// The batch's share of the mean loss over several batches, whose counts together are `whole`.
    pub fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Share {
        let decoder = || model.decoder();
        match self.objective {
            Objective::Text | Objective::Sft if self.kl_to_base > 0.0 => {
                kl::share(decoder(), self.reference.decoder(), batch, self.kl_to_base, whole)
            }
            Objective::Text => Share::of_tokens(text::loss(decoder(), batch), whole),
            Objective::Sft => Share::of_tokens(sft::loss(decoder(), batch), whole),
            Objective::Dpo => dpo::share(decoder(), self.reference.decoder(), batch, &self.preference, whole),
            Objective::Orpo => orpo::share(decoder(), batch, &self.preference, whole),
            Objective::Kto => kto::share(decoder(), self.reference.decoder(), batch, &self.preference, whole),
            Objective::Grpo => grpo::share(decoder(), self.reference.decoder(), batch, &self.grpo, whole),
            Objective::Classify => classify::share(model, batch, whole),
            Objective::Contrastive => contrastive::share(model, batch, self.scale, whole),
            Objective::Reward => reward::share(decoder(), batch, whole),
        }
    }

    /// What else is measured, from the sums of [`Share::figures`] over all batches.
    pub fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        let mean = |sum: &f64| sum / whole.tokens.max(1) as f64;
        match self.objective {
            Objective::Text | Objective::Sft => {
                Metrics::Tokens(TokenMetrics { kl_to_base: sums.first().copied(), perplexity: None })
            }
            Objective::Dpo | Objective::Orpo | Objective::Kto => {
                PreferenceMetrics::from_sums(sums, whole).map_or(Metrics::Nothing, Metrics::Preference)
            }
            Objective::Classify => {
                Metrics::Classification(ClassificationMetrics::from_counts(sums, &self.labels))
            }
            // What the answers earned is known where they were sampled.
            Objective::Grpo => Metrics::Rollout(RolloutMetrics {
                kl: sums.first().map(mean),
                clip_ratio: sums.get(1).map(mean),
                ..RolloutMetrics::default()
            }),
            // Measured over all rows together, in `eval::embeddings`.
            Objective::Contrastive => Metrics::Nothing,
            Objective::Reward => {
                RewardMetrics::from_sums(sums, whole).map_or(Metrics::Nothing, Metrics::Reward)
            }
        }
    }

    /// Of the objective `contrastive`: one batch's loss from embeddings that are there already; see
    /// [`contrastive::loss`].
    pub fn of_embeddings(&self, embeddings: Tensor<2>, batch: &Batch) -> Tensor<1> {
        contrastive::loss(embeddings, batch, self.scale)
    }

    /// Whether texts are compared by their embeddings.
    pub fn compares_embeddings(&self) -> bool {
        self.objective == Objective::Contrastive
    }
}
