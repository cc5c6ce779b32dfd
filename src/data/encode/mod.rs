//! From rows to token ids with a loss mask.
//!
//! | row | model with a chat template | model without |
//! | --- | --- | --- |
//! | text | the text and the end token, all trained, in windows of `max_seq_length` | the same |
//! | prompt and completion | a user and an assistant turn | joined as they stand, completion and end token trained |
//! | conversation, Alpaca | rendered, the assistant's turns trained | the same in [the plain format](self::template::PLAIN_TEMPLATE) |
//! | labelled text | the text as it stands between the tokenizer's own begin and end tokens, cut on the right | the same |
//! | texts that are compared | each as a labelled text | the same |
//! | prompt that the model answers itself | the conversation up to where the answer begins, nothing trained | the same in the plain format |
//! | preference, rated answer | each answer as above, after its prompt; only the answer counts | the same |
//!
//! Prompt and answer are tokenised as one text, and the trained part found by byte offsets: what the model sees
//! is what its tokenizer makes of the text, also where prompt and answer meet. A token with a trained
//! byte in it is trained. Rows longer than `max_seq_length` keep their beginning. Windows of a long
//! text overlap by one token, so that each token but the first is predicted once.

pub(super) mod classes;
mod encoder;
pub(super) mod example;
mod mask;
mod options;
mod question;
pub(super) mod row;
pub(super) mod skipped;
mod task;
pub mod template;
pub(super) mod text;
pub mod tokenizer;
mod tools;

pub use example::{Contrast, Example, Preference, Sequence};
pub use options::EncodeOptions;
pub use question::{Question, question};

use crate::data::read::invalid_line;
use crate::data::types::{Dataset, Row, RowContent};
use crate::error::{Error, Result};
use crate::recipe::Objective;
use row::encode_row;
use skipped::{SkipReason, SkippedRow};
use std::sync::Arc;
use text::{EncodedText, RowError};
use tokenizer::Tokenizer;

#[derive(Debug, Clone)]
pub struct Encoded {
    pub examples: Vec<Example>,
    /// Length in tokens of what each example was before it was cut; estimated for a row of megabytes.
    pub full_lengths: Vec<usize>,
    pub skipped: Vec<SkippedRow>,
    /// What was decided on the way, in sentences for the user.
    pub notes: Vec<String>,
}

/// Encodes every row, in order. Rows with nothing to learn from are skipped, and said so.
///
/// # Errors
/// No row leaves a token to train on; the sentence says why. A row uses tools, and the chat template does not write them.
/// Or `max_seq_length` is below 2, or none of the model's chat templates is the default.
pub fn encode_dataset(dataset: &Dataset, tokenizer: &Tokenizer, options: &EncodeOptions) -> Result<Encoded> {
    if options.max_seq_length < 2 {
        return Err(Error::InvalidSetting {
            key: "train.max_seq_length".into(),
            value: options.max_seq_length.to_string(),
            expected: "it must be at least 2: one token to read and one to predict".into(),
        });
    }
    let is_written_by_template = |row: &Arc<Row>| {
        !matches!(
            row.content,
            RowContent::Text(_) | RowContent::Labelled { .. } | RowContent::Sentences { .. }
        )
    };
    if dataset.rows.iter().any(is_written_by_template) {
        tokenizer.check_template()?;
    }
    let mut encoded =
        Encoded { examples: Vec::new(), full_lengths: Vec::new(), skipped: Vec::new(), notes: Vec::new() };
    let mut split_into_turns = false;
    for (row, content) in dataset.rows.iter().map(|row| &row.content).enumerate() {
        match encode_row(content, tokenizer, options) {
            Ok(texts) if matches!(content, RowContent::Sentences { .. }) => {
                append_compared(texts, content, row, options, &mut encoded);
            }
            Ok(texts) if task::task(content, options.objective).is_some() => {
                for text in texts {
                    encoded.full_lengths.push(text.full_length);
                    let task = task::task(content, options.objective);
                    encoded.examples.push(Example { task, ..Example::of_text(text.tokens.ids, row) });
                }
            }
            Ok(texts) => {
                split_into_turns |= texts.len() > 1 && texts[0].verdict.is_none();
                append_examples(texts, row, options, &mut encoded);
            }
            // A call that is left out would be learned as an empty answer.
            Err(RowError::Skipped(SkipReason::Tools(reason))) => {
                let cure = "remove this row, or take a model whose chat template writes tool calls";
                return Err(invalid_line(&dataset.file, dataset.rows[row].line, format!("{reason}; {cure}")));
            }
            Err(RowError::Skipped(reason)) => encoded.skipped.push(SkippedRow { row, reason }),
            Err(RowError::Failed(error)) => return Err(error),
        }
    }
    if encoded.examples.is_empty() {
        return Err(skipped::nothing_to_train(dataset, &encoded.skipped, options));
    }
    encoded.notes = skipped::notes(dataset, tokenizer, &encoded.skipped, options, split_into_turns);
    Ok(encoded)
}

/// One whole text between the tokens that the tokenizer begins and ends texts with, cut on the right.
///
/// # Errors
/// A text that cannot be tokenised.
pub fn encode_text(text: &str, tokenizer: &Tokenizer, max_seq_length: usize) -> Result<Vec<u32>> {
    let content = RowContent::Sentences { texts: vec![text.into()], score: None };
    let options = EncodeOptions { objective: Objective::Contrastive, max_seq_length, train_on_prompt: false };
    match encode_row(&content, tokenizer, &options) {
        Ok(texts) => Ok(texts.into_iter().next().map_or(Vec::new(), |text| text.tokens.ids)),
        Err(RowError::Skipped(_)) => Ok(Vec::new()),
        Err(RowError::Failed(error)) => Err(error),
    }
}

fn append_examples(texts: Vec<EncodedText>, row: usize, options: &EncodeOptions, encoded: &mut Encoded) {
    let as_pair = options.objective != Objective::Kto;
    if let ([chosen, rejected], true) = (texts.as_slice(), as_pair)
        && chosen.verdict.is_some()
    {
        let whole = |text: &EncodedText| text.example(0..text.tokens.ids.len(), row, options);
        let (mut example, rejected_example) = (whole(chosen), whole(rejected));
        example.truncated |= rejected_example.truncated;
        example.preference = Some(Preference::Over(Sequence {
            input_ids: rejected_example.input_ids,
            loss_mask: rejected_example.loss_mask,
        }));
        encoded.full_lengths.push(chosen.full_length.max(rejected.full_length));
        encoded.examples.push(example);
        return;
    }
    for text in texts {
        for window in text.windows(options.max_seq_length) {
            let length = if text.in_windows { window.len() } else { text.full_length };
            encoded.full_lengths.push(length);
            encoded.examples.push(text.example(window, row, options));
        }
    }
}

/// All texts of a row as one example.
fn append_compared(
    texts: Vec<EncodedText>,
    content: &RowContent,
    row: usize,
    options: &EncodeOptions,
    encoded: &mut Encoded,
) {
    let RowContent::Sentences { score, .. } = content else { return };
    let full_length = texts.iter().map(|text| text.full_length).max().unwrap_or(0);
    let mut ids = texts.into_iter().map(|text| text.tokens.ids);
    let Some(first) = ids.next() else { return };
    encoded.full_lengths.push(full_length);
    encoded.examples.push(Example {
        truncated: full_length > options.max_seq_length,
        contrast: Contrast::new(ids.collect(), score),
        ..Example::of_text(first, row)
    });
}
