//! Rows of tokens as one rectangle, padded or packed.

use super::contrast;
use super::order::{BatchOptions, BatchRow};
use super::preference::{labels, other_answers};
use crate::data::encode::example::Example;
use crate::models::Input;

/// Rows of tokens of equal length. Every vector is `[batch * seq]`, row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub input_ids: Vec<u32>,
    /// Whether position i is to predict token i + 1, which is then of the same document.
    pub targets_mask: Vec<bool>,
    /// The next token; 0 where masked.
    pub targets: Vec<u32>,
    /// From 0 in each document.
    pub position_ids: Vec<u32>,
    /// 0 is padding; documents of a row count from 1. Attention stays within a document.
    pub document_ids: Vec<u32>,
    pub batch: usize,
    pub seq: usize,
    /// Positions that predict; the loss is divided by this.
    pub supervised_tokens: usize,
    /// Positions that are not padding.
    pub tokens: usize,
    pub packed: bool,
    /// For rated answers: whether each is liked, `[batch / 2]`.
    pub labels: Vec<bool>,
    /// For labelled texts: the class of each, `[batch]`.
    pub classes: Vec<u32>,
    /// For texts that are compared: how many first texts there are. What they are compared with follows, in the same
    /// order, and then the negatives.
    pub anchors: usize,
    /// For scored pairs: the score of each, `[anchors]`.
    pub scores: Vec<f32>,
    /// For sampled answers: how much better each is than the other answers to its prompt, `[batch]`.
    pub advantages: Vec<f32>,
    /// For sampled answers that are learned from several times: the log-probability of each target token when they were
    /// sampled, `[supervised_tokens]`, row after row.
    pub old_log_probs: Vec<f32>,
}

/// Lays rows out as one rectangle. Padded rows are as long as the longest, rounded up to a multiple
/// of 8; packed rows are rounded up to a multiple of 64, at most `max_seq_length`. Few distinct
/// shapes spare a GPU compiling.
///
/// Preference data makes twice as many rows. Of pairs, the chosen answers come first and the
/// rejected ones after them, in the same order. Of rated answers, the answers come first and then
/// each prompt with the answer of the row before it (the first with the last's), as in TRL's
/// `KTOTrainer`. Texts that are compared make two or three times as many; see [`Batch::anchors`].
pub fn collate(examples: &[Example], rows: &[BatchRow], options: &BatchOptions) -> Batch {
    let mut others = other_answers(examples, rows, options);
    others.extend(contrast::other_texts(examples, rows));
    let of_example = |&index: &usize| (&examples[index].input_ids, &examples[index].loss_mask);
    let laid_out: Vec<Vec<(&Vec<u32>, &Vec<bool>)>> = rows
        .iter()
        .map(|row| row.examples.iter().map(of_example).collect())
        .chain(others.iter().map(|other| vec![(&other.input_ids, &other.loss_mask)]))
        .collect();
    let length = |row: &Vec<(&Vec<u32>, &Vec<bool>)>| row.iter().map(|(ids, _)| ids.len()).sum::<usize>();
    let longest = laid_out.iter().map(length).max().unwrap_or(0);
    let seq = if options.packing {
        longest.next_multiple_of(64).min(options.max_seq_length.next_multiple_of(8)).max(longest)
    } else {
        longest.next_multiple_of(8)
    };
    let size = laid_out.len() * seq;
    let mut batch = Batch {
        input_ids: vec![options.pad_token_id; size],
        targets_mask: vec![false; size],
        targets: vec![0; size],
        position_ids: vec![0; size],
        document_ids: vec![0; size],
        batch: laid_out.len(),
        seq,
        supervised_tokens: 0,
        tokens: 0,
        packed: options.packing,
        labels: labels(examples, rows),
        classes: rows.iter().flat_map(|row| &row.examples).filter_map(|&i| examples[i].class).collect(),
        anchors: contrast::anchors(examples, rows),
        scores: contrast::scores(examples, rows),
        advantages: Vec::new(),
        old_log_probs: Vec::new(),
    };
    for (row_index, row) in laid_out.iter().enumerate() {
        let mut at = row_index * seq;
        for (document, (input_ids, loss_mask)) in row.iter().enumerate() {
            batch.place(at, document as u32 + 1, input_ids, loss_mask);
            at += input_ids.len();
        }
    }
    batch
}

impl Batch {
    /// What a model reads of it.
    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            input_ids: &self.input_ids,
            position_ids: &self.position_ids,
            document_ids: &self.document_ids,
            batch: self.batch,
            seq: self.seq,
        }
    }

    /// Some of the rows as a batch of their own, without labels, classes, scores and advantages.
    pub fn rows(&self, rows: std::ops::Range<usize>) -> Batch {
        let places = rows.start * self.seq..rows.end * self.seq;
        let targets_mask = self.targets_mask[places.clone()].to_vec();
        let document_ids = self.document_ids[places.clone()].to_vec();
        Batch {
            input_ids: self.input_ids[places.clone()].to_vec(),
            targets: self.targets[places.clone()].to_vec(),
            position_ids: self.position_ids[places].to_vec(),
            batch: rows.len(),
            seq: self.seq,
            supervised_tokens: targets_mask.iter().filter(|&&mask| mask).count(),
            tokens: document_ids.iter().filter(|&&document| document > 0).count(),
            packed: self.packed,
            targets_mask,
            document_ids,
            ..Batch::default()
        }
    }

    fn place(&mut self, at: usize, document: u32, input_ids: &[u32], loss_mask: &[bool]) {
        let length = input_ids.len();
        self.input_ids[at..at + length].copy_from_slice(input_ids);
        self.document_ids[at..at + length].fill(document);
        for position in 0..length {
            self.position_ids[at + position] = position as u32;
            let next = position + 1;
            if next < length && loss_mask[next] {
                self.targets_mask[at + position] = true;
                self.targets[at + position] = input_ids[next];
                self.supervised_tokens += 1;
            }
        }
        self.tokens += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::encode::example::{Preference, Sequence};

    fn example(ids: &[u32], trained_from: usize) -> Example {
        let loss_mask = (0..ids.len()).map(|i| i >= trained_from).collect();
        Example {
            input_ids: ids.to_vec(),
            loss_mask,
            row: 0,
            truncated: false,
            preference: None,
            class: None,
            contrast: None,
            task: None,
        }
    }

    fn options(packing: bool) -> BatchOptions {
        BatchOptions { batch_size: 2, max_seq_length: 12, packing, pad_token_id: 9 }
    }

    #[test]
    fn padding_is_masked_by_position() {
        // The pad id is also a real token, which stays a target.
        let examples = [example(&[1, 2, 9], 2), example(&[3, 4, 5, 6, 7], 1)];
        let rows = [BatchRow { examples: vec![0] }, BatchRow { examples: vec![1] }];
        let batch = collate(&examples, &rows, &options(false));
        assert_eq!((batch.batch, batch.seq, batch.tokens, batch.supervised_tokens), (2, 8, 8, 5));
        assert_eq!(batch.input_ids[..8], [1, 2, 9, 9, 9, 9, 9, 9]);
        assert_eq!(batch.targets[..8], [0, 9, 0, 0, 0, 0, 0, 0]);
        assert_eq!(batch.targets_mask[..4], [false, true, false, false]);
        assert_eq!(batch.document_ids[8..], [1, 1, 1, 1, 1, 0, 0, 0]);
        assert_eq!(batch.position_ids[8..], [0, 1, 2, 3, 4, 0, 0, 0]);
    }

    #[test]
    fn packed_documents_do_not_predict_each_other() {
        let examples = [example(&[1, 2, 3], 1), example(&[4, 5], 0)];
        let rows = [BatchRow { examples: vec![0, 1] }];
        let batch = collate(&examples, &rows, &options(true));
        assert_eq!(batch.seq, 16);
        assert_eq!(batch.document_ids[..6], [1, 1, 1, 2, 2, 0]);
        assert_eq!(batch.position_ids[..6], [0, 1, 2, 0, 1, 0]);
        assert_eq!(batch.targets[..6], [2, 3, 0, 5, 0, 0]);
        assert_eq!(batch.supervised_tokens, 3);
    }

    #[test]
    fn rejected_answers_follow_the_chosen_ones() {
        let mut examples = [example(&[1, 2, 3], 2), example(&[1, 4], 1)];
        for (example, ids) in examples.iter_mut().zip([[1, 2, 5, 6].as_slice(), &[1, 7]]) {
            let loss_mask = (0..ids.len()).map(|i| i + 1 == ids.len()).collect();
            example.preference = Some(Preference::Over(Sequence { input_ids: ids.to_vec(), loss_mask }));
        }
        let rows = [BatchRow { examples: vec![1] }, BatchRow { examples: vec![0] }];
        let batch = collate(&examples, &rows, &options(false));
        assert_eq!((batch.batch, batch.seq, batch.tokens, batch.supervised_tokens), (4, 8, 11, 4));
        let firsts: Vec<&[u32]> = batch.input_ids.chunks(8).map(|row| &row[..3]).collect();
        assert_eq!(firsts, [[1, 4, 9], [1, 2, 3], [1, 7, 9], [1, 2, 5]]);
        assert_eq!(batch.rows(2..4).targets, batch.targets[16..]);
        assert_eq!(batch.rows(2..4).supervised_tokens, 2);
    }

    #[test]
    fn rated_answers_are_also_tried_on_another_prompt() {
        let mut examples = [example(&[1, 2, 3], 2), example(&[4, 5, 6], 1), example(&[7, 8], 1)];
        for (example, liked) in examples.iter_mut().zip([true, false, true]) {
            example.preference = Some(Preference::Label(liked));
        }
        let rows: Vec<BatchRow> = (0..3).map(|i| BatchRow { examples: vec![i] }).collect();
        let batch = collate(&examples, &rows, &options(false));
        assert_eq!(batch.labels, [true, false, true]);
        let mismatched: Vec<&[u32]> = batch.input_ids.chunks(8).skip(3).map(|row| &row[..4]).collect();
        assert_eq!(mismatched, [[1, 2, 8, 9], [4, 3, 9, 9], [7, 5, 6, 9]]);
        assert_eq!(batch.rows(3..6).supervised_tokens, 4);
        // The prompt and answer together keep to the limit.
        let short = BatchOptions { max_seq_length: 2, ..options(false) };
        assert_eq!(collate(&examples, &rows, &short).rows(3..6).tokens, 6);
    }
}
