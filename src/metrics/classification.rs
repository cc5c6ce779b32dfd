//! How well classes are told apart.

use super::figure::{Better, Figure, Label, Rank, Unit};
use serde::{Deserialize, Serialize};

/// What the objective `classify` reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ClassificationMetrics {
    /// Share of the texts whose class was found.
    pub accuracy: f64,
    /// Mean over the classes of the harmonic mean of precision and recall, as scikit-learn's `f1_score`
    /// with `average="macro"`: classes that neither occur nor were guessed are left out.
    pub macro_f1: f64,
    /// Share of the most frequent class: the accuracy of always guessing it.
    pub majority_share: f64,
    pub labels: Vec<String>,
    /// A row a true class, a column a guess, in the order of `labels`; numbers of texts.
    pub confusion: Vec<Vec<usize>>,
}

impl ClassificationMetrics {
    /// From a confusion matrix `[labels * labels]`, a row a true class.
    pub fn from_counts(counts: &[f64], labels: &[String]) -> ClassificationMetrics {
        let classes = labels.len();
        let confusion: Vec<Vec<usize>> = counts
            .chunks(classes.max(1))
            .map(|row| row.iter().map(|&count| count.round() as usize).collect())
            .collect();
        let of_class = |class: usize| confusion[class].iter().sum::<usize>();
        let guessed = |class: usize| confusion.iter().map(|row| row[class]).sum::<usize>();
        let found = |class: usize| confusion[class][class];
        let total = (0..classes).map(of_class).sum::<usize>().max(1) as f64;
        let f1: Vec<f64> = (0..classes)
            .filter(|&class| of_class(class) + guessed(class) > 0)
            .map(|class| 2.0 * found(class) as f64 / (of_class(class) + guessed(class)) as f64)
            .collect();
        ClassificationMetrics {
            accuracy: (0..classes).map(found).sum::<usize>() as f64 / total,
            macro_f1: f1.iter().sum::<f64>() / f1.len().max(1) as f64,
            majority_share: (0..classes).map(of_class).max().unwrap_or(0) as f64 / total,
            labels: labels.to_vec(),
            confusion,
        }
    }
}

impl ClassificationMetrics {
    pub(super) const FIGURES: &[Figure<ClassificationMetrics>] = &[
        Figure {
            label: Label {
                name: "accuracy",
                better: Better::Higher,
                unit: Unit::Share,
                rank: Rank::First,
                step: Some("accuracy"),
                evaluation: Some("classification.accuracy"),
            },
            value: |metrics| Some(metrics.accuracy),
        },
        Figure {
            label: Label {
                name: "macro-F1",
                better: Better::Higher,
                unit: Unit::Number,
                rank: Rank::Summary,
                step: None,
                evaluation: Some("classification.macro_f1"),
            },
            value: |metrics| Some(metrics.macro_f1),
        },
        Figure {
            label: Label {
                name: "share of the most frequent class",
                better: Better::Neither,
                unit: Unit::Share,
                rank: Rank::Summary,
                step: None,
                evaluation: Some("classification.majority_share"),
            },
            value: |metrics| Some(metrics.majority_share),
        },
    ];
}
