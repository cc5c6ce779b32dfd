//! A text of a row as tokens and mask, or why there is none.

use super::example::{Example, Preference, Verdict};
use super::options::EncodeOptions;
use super::skipped::SkipReason;
use super::tokenizer::Tokens;
use crate::error::{Error, Result};
use std::ops::Range;

/// A row, or a part of one, as text and tokens. SFT rows are cut to `max_seq_length` already.
pub struct EncodedText {
    pub text: String,
    pub tokens: Tokens,
    pub trained: Vec<bool>,
    /// Tokens before the cut; estimated for a text of megabytes.
    pub full_length: usize,
    /// Raw text, to be learned in windows instead of being cut.
    pub in_windows: bool,
    /// What a preference row says of this answer.
    pub verdict: Option<Verdict>,
}

impl EncodedText {
    /// The token ranges of this text's examples.
    pub(super) fn windows(&self, max_seq_length: usize) -> Vec<Range<usize>> {
        let length = self.tokens.ids.len();
        let mut windows = Vec::new();
        let mut start = 0;
        loop {
            let end = length.min(start + max_seq_length);
            windows.push(start..end);
            if end == length {
                return windows;
            }
            start = end - 1;
        }
    }

    /// The tokens of a window as an example of its own.
    pub(super) fn example(&self, window: Range<usize>, row: usize, options: &EncodeOptions) -> Example {
        let mut loss_mask = self.trained[window.clone()].to_vec();
        if let Some(first) = loss_mask.first_mut() {
            *first = false;
        }
        Example {
            input_ids: self.tokens.ids[window].to_vec(),
            loss_mask,
            row,
            truncated: !self.in_windows && self.full_length > options.max_seq_length,
            preference: self.verdict.map(|verdict| Preference::Label(verdict == Verdict::Chosen)),
            class: None,
            contrast: None,
            task: None,
        }
    }
}

/// The texts of a row.
pub type RowTexts = Result<Vec<EncodedText>, RowError>;

/// Why a row has no texts.
#[derive(Debug)]
pub enum RowError {
    /// It is left out, and the rows after it are read.
    Skipped(SkipReason),
    /// The reading ends.
    Failed(Error),
}

impl From<Error> for RowError {
    fn from(error: Error) -> RowError {
        RowError::Failed(error)
    }
}

impl From<SkipReason> for RowError {
    fn from(reason: SkipReason) -> RowError {
        RowError::Skipped(reason)
    }
}
