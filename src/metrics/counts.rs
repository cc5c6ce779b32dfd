//! How much of each kind the batches of a step hold.

use std::iter::Sum;

/// What means are taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens whose cross-entropy counts.
    pub tokens: usize,
    /// Chosen, or liked, answers.
    pub chosen: usize,
    /// Rejected, or disliked, answers.
    pub rejected: usize,
    /// Labelled texts; of `grpo` the sampled answers; of `contrastive` the anchors, or the first sentences of scored pairs.
    pub texts: usize,
}

impl Counts {
    /// Nothing to learn from.
    pub fn is_empty(&self) -> bool {
        *self == Counts::default()
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), |a, b| Counts {
            tokens: a.tokens + b.tokens,
            chosen: a.chosen + b.chosen,
            rejected: a.rejected + b.rejected,
            texts: a.texts + b.texts,
        })
    }
}
