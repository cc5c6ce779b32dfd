//! Losses: pure functions of (model, batch). No state, no IO, no random numbers.

pub mod classify;
pub mod contrastive;
mod criterion;
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

pub use criterion::Criterion;
pub use share::Share;

use crate::data::batch::Batch;
use crate::error::Result;
use crate::metrics::{Counts, Metrics};
use crate::models::Model;
use crate::recipe::{Objective, Recipe};
use burn::tensor::Tensor;
use classify::Classify;
use contrastive::Contrastive;
use dpo::Dpo;
use grpo::Grpo;
use kl::NearBase;
use kto::Kto;
use orpo::Orpo;
use reward::Reward;
use sft::Sft;
use std::rc::Rc;
use text::Text;

/// The loss of a run.
#[derive(Debug, Clone)]
pub struct Loss {
    criterion: Rc<dyn Criterion>,
    /// The objective alone, without what holds a run to its base.
    alone: Rc<dyn Criterion>,
    /// `contrastive.scale`, where texts are compared by their embeddings.
    scale: Option<f64>,
}

impl Loss {
    /// `base` is the model as it is before training.
    pub fn new(recipe: &Recipe, base: &Model) -> Loss {
        let (reference, preference) = (base.clone(), recipe.preference.clone());
        let alone: Rc<dyn Criterion> = match recipe.objective {
            Objective::Text => Rc::new(Text),
            Objective::Sft => Rc::new(Sft),
            Objective::Dpo => Rc::new(Dpo { reference, recipe: preference }),
            Objective::Orpo => Rc::new(Orpo { recipe: preference }),
            Objective::Kto => Rc::new(Kto { reference, recipe: preference }),
            Objective::Grpo => Rc::new(Grpo { reference, recipe: recipe.grpo.clone() }),
            Objective::Classify => Rc::new(Classify { labels: base.labels().cloned().unwrap_or_default() }),
            Objective::Reward => Rc::new(Reward),
            Objective::Contrastive => Rc::new(Contrastive { scale: recipe.contrastive.scale }),
        };
        let coefficient = recipe.train.kl_to_base;
        let learns_tokens = matches!(recipe.objective, Objective::Text | Objective::Sft);
        let criterion: Rc<dyn Criterion> = match learns_tokens && coefficient > 0.0 {
            true => Rc::new(NearBase { base: base.clone(), coefficient }),
            false => alone.clone(),
        };
        let scale = (recipe.objective == Objective::Contrastive).then_some(recipe.contrastive.scale);
        Loss { criterion, alone, scale }
    }

    /// The objective alone, without what holds a run to its base: what a model is scored by.
    pub fn without_penalty(&self) -> Loss {
        Loss { criterion: self.alone.clone(), ..self.clone() }
    }

    /// See [`Criterion::counts`].
    pub fn counts(&self, batch: &Batch) -> Counts {
        self.criterion.counts(batch)
    }

    /// See [`Criterion::share`].
    ///
    /// # Errors
    /// As there.
    pub fn share(&self, model: &Model, batch: &Batch, whole: &Counts) -> Result<Share> {
        self.criterion.share(model, batch, whole)
    }

    /// See [`Criterion::metrics`].
    pub fn metrics(&self, sums: &[f64], whole: &Counts) -> Metrics {
        self.criterion.metrics(sums, whole)
    }

    /// Where texts are compared by their embeddings: one batch's loss from embeddings that are there already; see
    /// [`contrastive::loss`].
    pub fn of_embeddings(&self, embeddings: Tensor<2>, batch: &Batch) -> Tensor<1> {
        contrastive::loss(embeddings, batch, self.scale.unwrap_or(1.0))
    }

    /// Whether texts are compared by their embeddings.
    pub fn compares_embeddings(&self) -> bool {
        self.scale.is_some()
    }
}
