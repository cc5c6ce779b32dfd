use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct TrainRecipe {
    /// Peak learning rate. Default 2e-4.
    pub learning_rate: f64,
    /// Passes over the training rows. Default 1.
    pub epochs: f64,
    /// Optimizer steps; overrides `epochs` when set.
    pub max_steps: Option<usize>,
    /// Rows in a micro-batch; of `grpo` the prompts, to which answers are sampled, and the answers learned from at a time.
    /// Default 4.
    pub batch_size: usize,
    /// Micro-batches to an optimizer step. Default 1.
    pub gradient_accumulation_steps: usize,
    /// Longer rows are cut, in tokens. Default 512.
    pub max_seq_length: usize,
    /// Put several rows into one sequence, each attending only to itself. Default false.
    pub packing: bool,
    /// Default linear.
    pub lr_scheduler_type: SchedulerType,
    /// Share of the steps over which the rate rises from zero. Default 0.05.
    pub warmup_ratio: f64,
    /// AdamW's decoupled weight decay. Default 0.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 switches it off. Default 1.
    pub max_grad_norm: f64,
    /// Weight of KL(base ‖ tuned) over the target tokens, which holds the model near its base; for the objectives `text`
    /// and `sft`. Default 0.
    pub kl_to_base: f64,
    /// Whether activations within blocks are computed again in the backward pass instead of kept: less memory, a quarter more
    /// time. Default auto: where they would take more than 512 MiB.
    pub gradient_checkpointing: GradientCheckpointing,
    /// Multiplies with the frozen weights in 16 bits in the forward pass, where the GPU has such arithmetic; sums and gradients
    /// stay in 32 bits. Default false.
    pub fp16: bool,
    /// Same recipe, data and device kind: same losses. Default 42.
    #[cfg_attr(test, ts(type = "number"))]
    pub seed: u64,
}

/// Block checkpointing (<https://arxiv.org/abs/1604.06174>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum GradientCheckpointing {
    Auto,
    On,
    Off,
}

/// How the learning rate moves after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum SchedulerType {
    Linear,
    Cosine,
    /// No warm-up, no decay.
    Constant,
    ConstantWithWarmup,
}

impl Default for TrainRecipe {
    fn default() -> Self {
        TrainRecipe {
            learning_rate: 2e-4,
            epochs: 1.0,
            max_steps: None,
            batch_size: 4,
            gradient_accumulation_steps: 1,
            max_seq_length: 512,
            packing: false,
            lr_scheduler_type: SchedulerType::Linear,
            warmup_ratio: 0.05,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            kl_to_base: 0.0,
            gradient_checkpointing: GradientCheckpointing::Auto,
            fp16: false,
            seed: 42,
        }
    }
}
