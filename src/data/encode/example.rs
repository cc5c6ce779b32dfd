//! One sequence to learn from, and what an objective sets beside it.

use crate::data::types::Task;
use serde::Serialize;

/// One sequence to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub input_ids: Vec<u32>,
    /// Whether each token is a target. The first never is: nothing comes before it.
    pub loss_mask: Vec<bool>,
    /// Index into the rows of the data set.
    pub row: usize,
    /// Whether the row was longer than `max_seq_length`.
    pub truncated: bool,
    /// What a preference objective sets this answer against.
    pub preference: Option<Preference>,
    /// The class of a labelled text, once [`super::classes::number_classes`] has numbered it.
    pub class: Option<u32>,
    /// What a contrastive objective compares this text with.
    pub contrast: Option<Contrast>,
    /// For the objective `grpo`: what these tokens ask for.
    pub task: Option<Task>,
}

/// Texts beside an example's own, as token ids.
#[derive(Debug, Clone, PartialEq)]
pub enum Contrast {
    /// What belongs to it, and maybe what does not although it seems so.
    Pair { positive: Vec<u32>, negative: Option<Vec<u32>> },
    /// Another text, and how near the two are.
    Scored { other: Vec<u32>, score: f32 },
}

impl Contrast {
    /// From the token ids of all but a row's first text.
    pub(super) fn new(mut others: Vec<Vec<u32>>, score: &Option<String>) -> Option<Contrast> {
        let negative = if others.len() > 1 { others.pop() } else { None };
        let other = others.pop()?;
        match score {
            Some(score) => Some(Contrast::Scored { other, score: score.parse().ok()? }),
            None => Some(Contrast::Pair { positive: other, negative }),
        }
    }

    /// The positive, or the other text of a scored pair.
    pub fn other(&self) -> &[u32] {
        match self {
            Contrast::Pair { positive: other, .. } | Contrast::Scored { other, .. } => other,
        }
    }

    pub fn negative(&self) -> Option<&[u32]> {
        match self {
            Contrast::Pair { negative, .. } => negative.as_deref(),
            Contrast::Scored { .. } => None,
        }
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        [self.other().len(), self.negative().map_or(0, <[u32]>::len)].into_iter()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preference {
    /// The other answer to the same prompt, which is liked less.
    Over(Sequence),
    /// Whether this answer is liked.
    Label(bool),
}

/// Token ids, and which of them are targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    pub input_ids: Vec<u32>,
    pub loss_mask: Vec<bool>,
}

/// Whether people like an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Verdict {
    Chosen,
    Rejected,
}

impl Example {
    /// A text of which no token is a target.
    pub fn of_text(input_ids: Vec<u32>, row: usize) -> Example {
        let loss_mask = vec![false; input_ids.len()];
        Example {
            input_ids,
            loss_mask,
            row,
            truncated: false,
            preference: None,
            class: None,
            contrast: None,
            task: None,
        }
    }

    /// Tokens of all its answers, or of all texts that are compared.
    pub fn tokens(&self) -> usize {
        let compared: usize = self.contrast.iter().flat_map(Contrast::lengths).sum();
        self.input_ids.len() + compared + self.rejected().map_or(0, |rejected| rejected.input_ids.len())
    }

    pub fn trained_tokens(&self) -> usize {
        let count = |mask: &[bool]| mask.iter().filter(|&&trained| trained).count();
        count(&self.loss_mask) + self.rejected().map_or(0, |rejected| count(&rejected.loss_mask))
    }

    /// Tokens of its longest answer, or of the longest text that is compared.
    pub fn longest(&self) -> usize {
        let compared = self.contrast.iter().flat_map(Contrast::lengths).max().unwrap_or(0);
        let rejected = self.rejected().map_or(0, |rejected| rejected.input_ids.len());
        self.input_ids.len().max(rejected).max(compared)
    }

    /// The answer that is liked less than this one, in preference pairs.
    pub fn rejected(&self) -> Option<&Sequence> {
        match &self.preference {
            Some(Preference::Over(rejected)) => Some(rejected),
            _ => None,
        }
    }
}
