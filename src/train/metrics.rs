use crate::objectives::Counts;
use serde::{Deserialize, Serialize};

pub use super::compared::EmbeddingMetrics;
pub use super::judged::{ClassificationMetrics, RewardMetrics};
pub use super::rolled::RolloutMetrics;

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

/// How far the model tells chosen (or liked) answers from rejected (or disliked) ones.
///
/// Rewards are β times what the model's log-probability of an answer has beyond the reference's; for
/// ORPO, which has no reference, β times the log-probability. Their names are TRL's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PreferenceMetrics {
    /// Mean reward of the chosen answers.
    pub rewards_chosen: f64,
    /// Mean reward of the rejected answers.
    pub rewards_rejected: f64,
    /// What the chosen answers have more; 0 before training.
    pub rewards_margin: f64,
    /// Share of pairs whose chosen answer has the higher reward. Not for rated answers.
    pub rewards_accuracy: Option<f64>,
    /// Mean log-probability of the chosen answers: summed over an answer's tokens, for ORPO averaged.
    pub logps_chosen: f64,
    pub logps_rejected: f64,
    /// What the chosen answers have more; the base model has one too.
    pub logps_margin: f64,
    /// Share of pairs whose chosen answer is the likelier one. Not for rated answers.
    pub logps_accuracy: Option<f64>,
}

impl PreferenceMetrics {
    /// From the sums of [`crate::objectives::Share`] over all batches; `None` where there are none.
    pub fn from_sums(sums: &[f64], whole: &Counts) -> Option<PreferenceMetrics> {
        let [rewards_chosen, rewards_rejected, logps_chosen, logps_rejected, wins @ ..] = sums else {
            return None;
        };
        let of_chosen = |sum: &f64| sum / whole.chosen.max(1) as f64;
        let of_rejected = |sum: &f64| sum / whole.rejected.max(1) as f64;
        let (rewards_chosen, rewards_rejected) = (of_chosen(rewards_chosen), of_rejected(rewards_rejected));
        let (logps_chosen, logps_rejected) = (of_chosen(logps_chosen), of_rejected(logps_rejected));
        Some(PreferenceMetrics {
            rewards_chosen,
            rewards_rejected,
            rewards_margin: rewards_chosen - rewards_rejected,
            rewards_accuracy: wins.first().map(of_chosen),
            logps_chosen,
            logps_rejected,
            logps_margin: logps_chosen - logps_rejected,
            logps_accuracy: wins.get(1).map(of_chosen),
        })
    }
}
