//! What a step and an evaluation report.

use super::Metrics;
use super::json::{EvaluationJson, StepJson};
use serde::{Deserialize, Serialize};

/// What one optimizer step did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "StepJson")]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: usize,
    pub total_steps: usize,
    /// Passes over the training rows so far, as a fraction.
    pub epoch: f64,
    /// The objective's mean loss; of `text` and `sft`, cross-entropy over the step's target tokens, in nats.
    pub loss: f64,
    /// What else the objective measures.
    pub metrics: Metrics,
    pub learning_rate: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens in the step, padding left out.
    pub tokens: usize,
    /// Tokens that the model computed of the step's batches, with what padding is left.
    pub computed_tokens: usize,
    pub tokens_per_second: f64,
    /// Steps that were launched together have their mean.
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
    pub note: Option<String>,
}

/// Loss over held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "EvaluationJson", from = "EvaluationJson")]
pub struct Evaluation {
    /// The objective's mean loss; of `text` and `sft`, cross-entropy over target tokens, in nats; of `grpo` the mean reward
    /// with its sign turned, so that lower is better here too.
    pub loss: f64,
    /// What else the objective measures.
    pub metrics: Metrics,
    /// With `eval.probe`: mean token loss of the forgetting probe.
    pub probe_loss: Option<f64>,
    /// Target tokens scored, or sampled; tokens read, where whole texts are judged or compared.
    pub tokens: usize,
    pub examples: usize,
}
