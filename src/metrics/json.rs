//! Reports as JSON: what an objective measures lies under a key of its own, and the keys of the others are null. Other programs read
//! these keys, so they stay as they are.

use super::report::{Evaluation, StepReport};
use super::tokens::TokenMetrics;
use super::{
    ClassificationMetrics, EmbeddingMetrics, Metrics, PreferenceMetrics, RewardMetrics, RolloutMetrics,
};
use serde::{Deserialize, Serialize};

/// What one optimizer step did. One line of `metrics.jsonl`.
#[derive(Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export, rename = "StepReport"))]
pub(super) struct StepJson {
    /// Steps done, this one included.
    step: usize,
    total_steps: usize,
    /// Passes over the training rows so far, as a fraction.
    epoch: f64,
    /// The objective's mean loss; of `text` and `sft`, cross-entropy over the step's target tokens, in nats.
    loss: f64,
    /// With the objectives `dpo`, `orpo` and `kto`.
    preference: Option<PreferenceMetrics>,
    /// With the objective `classify`: the share of the step's texts whose class was found.
    accuracy: Option<f64>,
    /// With the objective `reward`.
    reward: Option<RewardMetrics>,
    /// With the objective `grpo`.
    rollout: Option<RolloutMetrics>,
    /// With `train.kl_to_base`: mean KL(base ‖ tuned) over the step's target tokens, in nats; `loss` is without it.
    kl_to_base: Option<f64>,
    learning_rate: f64,
    /// Global norm of the gradient before clipping.
    grad_norm: f64,
    /// Tokens in the step, padding left out.
    tokens: usize,
    /// Tokens that the model computed of the step's batches, with what padding is left.
    computed_tokens: usize,
    tokens_per_second: f64,
    /// Steps that were launched together have their mean.
    seconds: f64,
    /// Present on the steps that evaluate.
    evaluation: Option<EvaluationJson>,
    /// With `eval.probe`, on the steps that evaluate: mean token loss of the forgetting probe.
    probe_loss: Option<f64>,
    /// With `eval.probe`: the probe's loss before training; on the first step too, and on the first after a resume.
    base_probe_loss: Option<f64>,
    /// On the last step of a run with `eval.early_stopping_patience`: the step with the lowest held-out loss,
    /// whose values the run has taken back.
    restored_step: Option<usize>,
    finished: bool,
    /// On the last step: what the user should know of how the run ended, in a sentence.
    note: Option<String>,
}

/// Loss over held-out rows.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export, rename = "Evaluation"))]
pub(super) struct EvaluationJson {
    /// The objective's mean loss; of `text` and `sft`, cross-entropy over target tokens, in nats; of `grpo` the mean reward
    /// with its sign turned, so that lower is better here too.
    loss: f64,
    /// exp(loss), where the loss is cross-entropy alone.
    perplexity: Option<f64>,
    /// With the objectives `dpo`, `orpo` and `kto`.
    preference: Option<PreferenceMetrics>,
    /// With the objective `classify`.
    classification: Option<ClassificationMetrics>,
    /// With the objective `reward`.
    reward: Option<RewardMetrics>,
    /// With the objective `contrastive`.
    #[serde(default)]
    embedding: Option<EmbeddingMetrics>,
    /// With the objective `grpo`: of answers sampled to the held-out prompts.
    #[serde(default)]
    rollout: Option<RolloutMetrics>,
    /// With `eval.probe`: mean token loss of the forgetting probe.
    #[serde(default)]
    probe_loss: Option<f64>,
    /// Target tokens scored, or sampled; tokens read, where whole texts are judged or compared.
    tokens: usize,
    examples: usize,
}

/// The keys of an objective's metrics.
#[derive(Default)]
struct Keys {
    perplexity: Option<f64>,
    kl_to_base: Option<f64>,
    preference: Option<PreferenceMetrics>,
    classification: Option<ClassificationMetrics>,
    reward: Option<RewardMetrics>,
    embedding: Option<EmbeddingMetrics>,
    rollout: Option<RolloutMetrics>,
}

impl From<Metrics> for Keys {
    fn from(metrics: Metrics) -> Keys {
        match metrics {
            Metrics::Nothing => Keys::default(),
            Metrics::Tokens(TokenMetrics { perplexity, kl_to_base }) => {
                Keys { perplexity, kl_to_base, ..Keys::default() }
            }
            Metrics::Preference(metrics) => Keys { preference: Some(metrics), ..Keys::default() },
            Metrics::Classification(metrics) => Keys { classification: Some(metrics), ..Keys::default() },
            Metrics::Reward(metrics) => Keys { reward: Some(metrics), ..Keys::default() },
            Metrics::Embedding(metrics) => Keys { embedding: Some(metrics), ..Keys::default() },
            Metrics::Rollout(metrics) => Keys { rollout: Some(metrics), ..Keys::default() },
        }
    }
}

impl From<StepReport> for StepJson {
    fn from(report: StepReport) -> StepJson {
        let Keys { kl_to_base, preference, classification, reward, rollout, .. } = report.metrics.into();
        StepJson {
            step: report.step,
            total_steps: report.total_steps,
            epoch: report.epoch,
            loss: report.loss,
            preference,
            accuracy: classification.map(|classification| classification.accuracy),
            reward,
            rollout,
            kl_to_base,
            learning_rate: report.learning_rate,
            grad_norm: report.grad_norm,
            tokens: report.tokens,
            computed_tokens: report.computed_tokens,
            tokens_per_second: report.tokens_per_second,
            seconds: report.seconds,
            evaluation: report.evaluation.map(EvaluationJson::from),
            probe_loss: report.probe_loss,
            base_probe_loss: report.base_probe_loss,
            restored_step: report.restored_step,
            finished: report.finished,
            note: report.note,
        }
    }
}

impl From<Evaluation> for EvaluationJson {
    fn from(evaluation: Evaluation) -> EvaluationJson {
        let Keys { perplexity, preference, classification, reward, embedding, rollout, .. } =
            evaluation.metrics.into();
        EvaluationJson {
            loss: evaluation.loss,
            perplexity,
            preference,
            classification,
            reward,
            embedding,
            rollout,
            probe_loss: evaluation.probe_loss,
            tokens: evaluation.tokens,
            examples: evaluation.examples,
        }
    }
}

impl From<EvaluationJson> for Evaluation {
    fn from(json: EvaluationJson) -> Evaluation {
        let EvaluationJson { perplexity, .. } = json;
        let metrics = json
            .preference
            .map(Metrics::Preference)
            .or(json.classification.map(Metrics::Classification))
            .or(json.reward.map(Metrics::Reward))
            .or(json.embedding.map(Metrics::Embedding))
            .or(json.rollout.map(Metrics::Rollout));
        let of_tokens = || match perplexity {
            Some(_) => Metrics::Tokens(TokenMetrics { perplexity, kl_to_base: None }),
            None => Metrics::Nothing,
        };
        Evaluation {
            loss: json.loss,
            metrics: metrics.unwrap_or_else(of_tokens),
            probe_loss: json.probe_loss,
            tokens: json.tokens,
            examples: json.examples,
        }
    }
}
