//! The recipe: everything a run needs to be repeated, as the user typed it.
//!
//! A [`Recipe`] is plain JSON whose every field has a documented default, section by section:
//! `lora`, `train`, `preference`, `grpo`, `contrastive`, `eval`, `data`. It is checked once, in [`Recipe::from_json`];
//! the plan of a run (`train::Plan`) holds what it resolves to for one model and data set.

mod contrastive;
mod data;
mod eval;
mod grpo;
mod json;
mod lora;
mod preference;
mod target_modules;
mod train;
mod unused;
mod validate;

pub use contrastive::ContrastiveRecipe;
pub use data::{ColumnMapping, DataRecipe, Fix};
pub use eval::EvalRecipe;
pub use grpo::{GrpoLossType, GrpoRecipe, RewardKind};
pub use lora::{LoraRecipe, SAVED_MODULES};
pub use preference::{DpoLossType, PreferenceRecipe};
pub use target_modules::TargetModules;
pub use train::{GradientCheckpointing, SchedulerType, TrainRecipe};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Recipe {
    pub objective: Objective,
    pub method: Method,
    pub lora: LoraRecipe,
    pub train: TrainRecipe,
    pub preference: PreferenceRecipe,
    pub grpo: GrpoRecipe,
    pub contrastive: ContrastiveRecipe,
    pub eval: EvalRecipe,
    pub data: DataRecipe,
    pub device: DeviceChoice,
    pub base_dtype: BaseDtype,
}

/// What the loss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Objective {
    /// Continued pretraining: every token of raw text is a target.
    Text,
    /// Supervised fine-tuning: the assistant's tokens are targets.
    Sft,
    /// Direct preference optimisation on pairs of answers (<https://arxiv.org/abs/2305.18290>).
    Dpo,
    /// Fine-tuning with an odds ratio, on pairs of answers (<https://arxiv.org/abs/2403.07691>).
    Orpo,
    /// Kahneman-Tversky optimisation on rated answers (<https://arxiv.org/abs/2402.01306>).
    Kto,
    /// Group relative policy optimisation on answers that the model samples itself, by a reward
    /// (<https://arxiv.org/abs/2402.03300>).
    Grpo,
    /// Sequence classification: a `score` head on the last token tells which class a text is of.
    Classify,
    /// A reward model: a `score` head of one row that ranks the chosen answer above the rejected one.
    Reward,
    /// Sentence embeddings: texts that belong together come near each other, others apart.
    Contrastive,
}

impl Objective {
    /// As a recipe spells it.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Text => "text",
            Objective::Sft => "sft",
            Objective::Dpo => "dpo",
            Objective::Orpo => "orpo",
            Objective::Kto => "kto",
            Objective::Grpo => "grpo",
            Objective::Classify => "classify",
            Objective::Reward => "reward",
            Objective::Contrastive => "contrastive",
        }
    }

    /// Whether it learns from answers that people like more or less.
    pub fn is_preference(self) -> bool {
        matches!(self, Objective::Dpo | Objective::Orpo | Objective::Kto | Objective::Reward)
    }

    /// Whether it judges whole texts, with a `score` head, and writes none.
    pub fn has_score_head(self) -> bool {
        matches!(self, Objective::Classify | Objective::Reward)
    }

    /// Whether what is trained is a model that writes text.
    pub fn writes_text(self) -> bool {
        !self.has_score_head() && self != Objective::Contrastive
    }
}

/// Which weights move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Method {
    /// Low-rank adapters beside frozen weights (<https://arxiv.org/abs/2106.09685>).
    Lora,
    /// Every weight of the model.
    Full,
    /// Transfer learning: the trunk stays as it is. The objectives `classify` and `reward` train their
    /// `score` head alone, the others the last block and the final norm.
    LastLayer,
}

/// Where to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum DeviceChoice {
    /// A real GPU through WebGPU if there is one, the CPU otherwise.
    Auto,
    Webgpu,
    Cpu,
    /// Native builds with the `vulkan` feature only.
    Vulkan,
}

/// How the frozen weights of the linear layers lie on the device; decided when a model is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum BaseDtype {
    /// As numbers where that takes at most 1 GiB on the CPU or 256 MiB on a GPU, else as stored.
    Auto,
    /// As numbers of 32 bits: the fastest.
    F32,
    /// As the file has them, where that is in 16 bits (F16, BF16) or in blocks of 4 or 8 bits (Q4_0, Q4_1, Q8_0 of a GGUF
    /// file); other forms as numbers of 32 bits.
    Stored,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            objective: Objective::Sft,
            method: Method::Lora,
            lora: LoraRecipe::default(),
            train: TrainRecipe::default(),
            preference: PreferenceRecipe::default(),
            grpo: GrpoRecipe::default(),
            contrastive: ContrastiveRecipe::default(),
            eval: EvalRecipe::default(),
            data: DataRecipe::default(),
            device: DeviceChoice::Auto,
            base_dtype: BaseDtype::Auto,
        }
    }
}
