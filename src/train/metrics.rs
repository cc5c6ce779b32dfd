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
    /// Mean cross-entropy over the step's target tokens, in nats.
    pub loss: f64,
    pub learning_rate: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens in the step, padding left out.
    pub tokens: usize,
    pub tokens_per_second: f64,
    pub seconds: f64,
    /// Present on the steps that evaluate.
    pub evaluation: Option<Evaluation>,
    pub finished: bool,
}

/// Loss over held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Evaluation {
    /// Mean cross-entropy over target tokens, in nats.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// Target tokens scored.
    pub tokens: usize,
    pub examples: usize,
}
