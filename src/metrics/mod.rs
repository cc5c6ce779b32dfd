//! What a run reports: of each step, of each evaluation, and what each kind of objective measures beside its loss.

mod classification;
mod counts;
mod embedding;
mod figure;
mod json;
mod preference;
mod report;
mod reward;
mod rollout;
mod tokens;

pub use classification::ClassificationMetrics;
pub use counts::Counts;
pub use embedding::EmbeddingMetrics;
pub use figure::{Better, Figure, Label, Rank, Row, Unit};
pub use preference::PreferenceMetrics;
pub use report::{Evaluation, StepReport};
pub use reward::RewardMetrics;
pub use rollout::RolloutMetrics;
pub use tokens::TokenMetrics;

use figure::rows;

/// What an objective measures beside its loss, of a step's batches or of all held-out rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Metrics {
    /// A step of `contrastive`, whose texts are searched in an evaluation only.
    Nothing,
    /// `text` and `sft`.
    Tokens(TokenMetrics),
    /// `dpo`, `orpo` and `kto`.
    Preference(PreferenceMetrics),
    /// `classify`.
    Classification(ClassificationMetrics),
    /// `reward`.
    Reward(RewardMetrics),
    /// `contrastive`.
    Embedding(EmbeddingMetrics),
    /// `grpo`.
    Rollout(RolloutMetrics),
}

impl Metrics {
    /// What there is to show, the most important first.
    pub fn rows(&self) -> Vec<Row> {
        match self {
            Metrics::Nothing => Vec::new(),
            Metrics::Tokens(metrics) => rows(TokenMetrics::FIGURES, metrics),
            Metrics::Preference(metrics) => rows(PreferenceMetrics::FIGURES, metrics),
            Metrics::Classification(metrics) => rows(ClassificationMetrics::FIGURES, metrics),
            Metrics::Reward(metrics) => rows(RewardMetrics::FIGURES, metrics),
            Metrics::Embedding(metrics) => rows(EmbeddingMetrics::FIGURES, metrics),
            Metrics::Rollout(metrics) => rows(RolloutMetrics::FIGURES, metrics),
        }
    }
}

/// How each number of [`Metrics::rows`] is shown, and where it lies in the JSON of reports; for programs that have only that.
pub fn labels() -> Vec<Label> {
    fn list<T>(figures: &[Figure<T>]) -> impl Iterator<Item = Label> {
        figures.iter().map(|figure| figure.label)
    }
    list(TokenMetrics::FIGURES)
        .chain(list(PreferenceMetrics::FIGURES))
        .chain(list(ClassificationMetrics::FIGURES))
        .chain(list(RewardMetrics::FIGURES))
        .chain(list(EmbeddingMetrics::FIGURES))
        .chain(list(RolloutMetrics::FIGURES))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn samples() -> Vec<Metrics> {
        let preference = PreferenceMetrics {
            rewards_chosen: 3.0,
            rewards_rejected: 1.0,
            rewards_margin: 2.0,
            rewards_accuracy: None,
            logps_chosen: -4.0,
            logps_rejected: -6.0,
            logps_margin: 2.5,
            logps_accuracy: None,
        };
        let labels = ["a".to_string(), "b".to_string()];
        vec![
            Metrics::Tokens(TokenMetrics { perplexity: Some(3.0), kl_to_base: Some(0.5) }),
            Metrics::Preference(preference),
            Metrics::Classification(ClassificationMetrics::from_counts(&[3.0, 1.0, 0.0, 2.0], &labels)),
            Metrics::Reward(RewardMetrics { accuracy: 0.75, margin: 1.5, chosen: 1.0, rejected: -0.5 }),
            Metrics::Embedding(EmbeddingMetrics {
                recall_at_1: Some(0.5),
                recall_at_5: Some(0.9),
                mrr: Some(0.6),
                spearman: Some(0.8),
                candidates: Some(7),
            }),
            Metrics::Rollout(RolloutMetrics {
                reward: 0.4,
                reward_std: 0.2,
                frac_reward_zero_std: 0.1,
                completion_length: 12.5,
                truncated: 0.05,
                kl: Some(0.01),
                clip_ratio: Some(0.3),
            }),
        ]
    }

    fn evaluation(metrics: Metrics) -> Evaluation {
        Evaluation { loss: 1.0, metrics, probe_loss: None, tokens: 10, examples: 2 }
    }

    fn step(metrics: Metrics) -> StepReport {
        StepReport {
            step: 1,
            total_steps: 2,
            epoch: 0.5,
            loss: 1.0,
            metrics: metrics.clone(),
            learning_rate: 1e-4,
            grad_norm: 1.0,
            tokens: 10,
            computed_tokens: 16,
            tokens_per_second: 5.0,
            seconds: 2.0,
            evaluation: Some(evaluation(metrics)),
            probe_loss: None,
            base_probe_loss: None,
            restored_step: None,
            finished: false,
            note: None,
        }
    }

    #[test]
    fn labels_lie_where_they_say() {
        let at = |json: &Value, key: &str| json.pointer(&format!("/{}", key.replace('.', "/"))).cloned();
        let mut found = 0;
        for metrics in samples() {
            let json = serde_json::to_value(step(metrics.clone())).unwrap();
            for Row { name, value, .. } in metrics.rows() {
                let is_it = |label: &Label| {
                    let in_evaluation = label.evaluation.and_then(|key| at(&json["evaluation"], key));
                    let in_step = label.step.and_then(|key| at(&json, key));
                    let places = [in_evaluation, in_step].into_iter().flatten();
                    let numbers: Vec<f64> = places.filter_map(|place| place.as_f64()).collect();
                    label.name == name && !numbers.is_empty() && numbers.iter().all(|number| *number == value)
                };
                assert!(labels().iter().any(is_it), "{name} of {metrics:?}");
                found += 1;
            }
        }
        assert_eq!(found, labels().len());
    }

    /// Scripts read these keys.
    #[test]
    fn keys_are_those_of_all_objectives_in_one_order() {
        const STEP: [&str; 21] = [
            "step",
            "total_steps",
            "epoch",
            "loss",
            "preference",
            "accuracy",
            "reward",
            "rollout",
            "kl_to_base",
            "learning_rate",
            "grad_norm",
            "tokens",
            "computed_tokens",
            "tokens_per_second",
            "seconds",
            "evaluation",
            "probe_loss",
            "base_probe_loss",
            "restored_step",
            "finished",
            "note",
        ];
        const EVALUATION: [&str; 10] = [
            "loss",
            "perplexity",
            "preference",
            "classification",
            "reward",
            "embedding",
            "rollout",
            "probe_loss",
            "tokens",
            "examples",
        ];
        for metrics in samples().into_iter().chain([Metrics::Nothing]) {
            let json = serde_json::to_value(step(metrics)).unwrap();
            let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(
                (keys(&json), keys(&json["evaluation"])),
                (STEP.map(String::from).to_vec(), EVALUATION.map(String::from).to_vec())
            );
        }
    }

    #[test]
    fn an_evaluation_is_read_back_also_from_a_record_of_old() {
        for metrics in samples() {
            // A step's divergence is no part of an evaluation.
            let metrics = match metrics {
                Metrics::Tokens(tokens) => Metrics::Tokens(TokenMetrics { kl_to_base: None, ..tokens }),
                other => other,
            };
            let before = evaluation(metrics);
            let json = serde_json::to_value(&before).unwrap();
            assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), before);
        }
        let old = r#"{"loss": 0.5, "perplexity": null, "preference": null, "classification": null, "reward": null, "tokens": 3, "examples": 1}"#;
        let old: Evaluation = serde_json::from_str(old).unwrap();
        assert_eq!((old.metrics, old.probe_loss), (Metrics::Nothing, None));
    }

    /// The page and `cargo xtask` read the labels from a file; it is written here.
    #[test]
    fn the_file_of_labels_is_that_of_the_code() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/www/src/engine/figures.json");
        let labels = serde_json::to_string_pretty(&labels()).unwrap() + "\n";
        let before = std::fs::read_to_string(file).unwrap_or_default();
        if before != labels {
            std::fs::write(file, &labels).unwrap();
        }
        assert!(before == labels, "{file} has been written anew: commit it");
    }
}
