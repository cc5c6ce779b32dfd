//! Losses: pure functions of (model, batch). No state, no IO, no random numbers.

pub mod dpo;
pub mod kto;
mod log_probs;
pub mod orpo;
pub mod sft;
mod share;
pub mod text;

pub use share::{Counts, Share};

use crate::data::batch::Batch;
use crate::models::{Input, Llama};
use crate::recipe::{Objective, PreferenceRecipe, Recipe};

/// The loss of a run: its objective, with the settings and the reference model that it needs.
#[derive(Debug, Clone)]
pub struct Loss {
    objective: Objective,
    preference: PreferenceRecipe,
    /// The model as it was before training.
    reference: Llama,
}

impl Loss {
    pub fn new(recipe: &Recipe, base: &Llama) -> Loss {
        Loss { objective: recipe.objective, preference: recipe.preference.clone(), reference: base.clone() }
    }

    /// What a batch contributes to the counts that the loss is a mean over.
    pub fn counts(&self, batch: &Batch) -> Counts {
        let pairs = batch.batch / 2;
        let liked = batch.labels.iter().filter(|&&label| label).count();
        match self.objective {
            Objective::Text | Objective::Sft => {
                Counts { tokens: batch.supervised_tokens, ..Counts::default() }
            }
            Objective::Dpo => Counts { chosen: pairs, rejected: pairs, ..Counts::default() },
            Objective::Orpo => Counts { tokens: orpo::chosen_tokens(batch), chosen: pairs, rejected: pairs },
            Objective::Kto => {
                Counts { chosen: liked, rejected: batch.labels.len() - liked, ..Counts::default() }
            }
        }
    }

    /// The batch's share of the mean loss over several batches, whose counts together are `whole`.
    pub fn share(&self, model: &Llama, batch: &Batch, whole: &Counts) -> Share {
        match self.objective {
            Objective::Text => Share::of_tokens(text::loss(model, batch), whole),
            Objective::Sft => Share::of_tokens(sft::loss(model, batch), whole),
            Objective::Dpo => dpo::share(model, &self.reference, batch, &self.preference, whole),
            Objective::Orpo => orpo::share(model, batch, &self.preference, whole),
            Objective::Kto => kto::share(model, &self.reference, batch, &self.preference, whole),
        }
    }
}

impl Batch {
    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            input_ids: &self.input_ids,
            position_ids: &self.position_ids,
            document_ids: &self.document_ids,
            batch: self.batch,
            seq: self.seq,
        }
    }
}
