//! What a step and an evaluation report.

use super::{ClassificationMetrics, EmbeddingMetrics, PreferenceMetrics, RewardMetrics, RolloutMetrics};
use serde::{Deserialize, Serialize};

/// What one optimizer step did. One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: usize,
    pub total_steps: usize,
    /// Passes over the training rows so far, as a fraction.
    pub epoch: f64,
    /// The objective's mean loss; of `text` and `sft`, cross-entropy over the step's target tokens, in nats.
    pub loss: f64,
    /// With the objectives `dpo`, `orpo` and `kto`.
    pub preference: Option<PreferenceMetrics>,
    /// With the objective `classify`: the share of the step's texts whose class was found.
    pub accuracy: Option<f64>,
    /// With the objective `reward`.
    pub reward: Option<RewardMetrics>,
    /// With the objective `grpo`.
    #[serde(default)]
    pub rollout: Option<RolloutMetrics>,
    /// With `train.kl_to_base`: mean KL(base ‖ tuned) over the step's target tokens, in nats; `loss` is without it.
    pub kl_to_base: Option<f64>,
    pub learning_rate: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens in the step, padding left out.
    pub tokens: usize,
    pub tokens_per_second: f64,
    /// Of steps that were launched together, the mean.
    pub seconds: f64,
    /// Present on the steps that evaluate.
    pub evaluation: Option<Evaluation>,
    /// With `eval.probe`, on the steps that evaluate: mean token loss of the forgetting probe.
    pub probe_loss: Option<f64>,
    /// With `eval.probe`: the probe's loss before training; on the first step too, and on the first after a resume.
    pub base_probe_loss: Option<f64>,
    /// On the last step of a run with `eval.early_stopping_patience`: the step with the lowest held-out loss,
    /// whose values the run has taken back.
    pub restored_step: Option<usize>,
    pub finished: bool,
    /// On the last step: what the user should know of how the run ended, in a sentence.
    #[serde(default)]
    pub note: Option<String>,
}

/// Loss over held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Evaluation {
    /// The objective's mean loss; of `text` and `sft`, cross-entropy over target tokens, in nats; of `grpo` the mean reward
    /// with its sign turned, so that lower is better here too.
    pub loss: f64,
    /// exp(loss), where the loss is cross-entropy alone.
    pub perplexity: Option<f64>,
    /// With the objectives `dpo`, `orpo` and `kto`.
    pub preference: Option<PreferenceMetrics>,
    /// With the objective `classify`.
    pub classification: Option<ClassificationMetrics>,
    /// With the objective `reward`.
    pub reward: Option<RewardMetrics>,
    /// With the objective `contrastive`.
    #[serde(default)]
    pub embedding: Option<EmbeddingMetrics>,
    /// With the objective `grpo`: of answers sampled to the held-out prompts.
    #[serde(default)]
    pub rollout: Option<RolloutMetrics>,
    /// With `eval.probe`: mean token loss of the forgetting probe.
    #[serde(default)]
    pub probe_loss: Option<f64>,
    /// Target tokens scored, or sampled; tokens read, where whole texts are judged or compared.
    pub tokens: usize,
    pub examples: usize,
}

/// What an objective measures beside its loss.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    pub preference: Option<PreferenceMetrics>,
    pub classification: Option<ClassificationMetrics>,
    pub reward: Option<RewardMetrics>,
    pub kl_to_base: Option<f64>,
    /// Of `grpo`: mean of an estimate of KL(tuned ‖ base) over the answers' tokens, in nats.
    pub kl: Option<f64>,
    /// Of `grpo`: share of the answers' tokens that are clipped.
    pub clip_ratio: Option<f64>,
}
