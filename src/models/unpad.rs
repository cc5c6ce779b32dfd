//! Micro-batches without their padding: the tokens of all rows one after the other in one row, where each document attends to
//! itself alone, as `unpad_input` of FlashAttention lays them out (<https://github.com/Dao-AILab/flash-attention>).

use super::{Input, int_tensor};
use crate::kernels::move_rows::move_rows;
use burn::tensor::Tensor;

/// The one row is rounded up to a multiple of so many, so that shapes recur.
const MULTIPLE: usize = 16;

/// A micro-batch whose rows are of unequal length, as one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unpadded {
    input_ids: Vec<u32>,
    position_ids: Vec<u32>,
    document_ids: Vec<u32>,
    /// Where in the one row each token of the rectangle is, `[batch * seq]`; of padding, any place.
    in_row: Vec<u32>,
    /// Where in the rectangle each token of the one row is, `[length]`; of what rounds it up, a place that is padding.
    in_rectangle: Vec<u32>,
}

impl Unpadded {
    /// `None` where that would be no shorter.
    pub(super) fn of(input: &Input) -> Option<Unpadded> {
        let length = computed_tokens(input);
        if length == input.document_ids.len() {
            return None;
        }
        let mut unpadded = Unpadded {
            input_ids: Vec::with_capacity(length),
            position_ids: Vec::with_capacity(length),
            document_ids: Vec::with_capacity(length),
            in_row: vec![0; input.document_ids.len()],
            in_rectangle: Vec::with_capacity(length),
        };
        let (mut document, mut padding) = (0, 0);
        for row in (0..input.document_ids.len()).step_by(input.seq) {
            let mut before = 0;
            for place in row..row + input.seq {
                let id = input.document_ids[place];
                if id > 0 {
                    document += u32::from(id != before);
                    unpadded.in_row[place] = unpadded.input_ids.len() as u32;
                    unpadded.in_rectangle.push(place as u32);
                    unpadded.input_ids.push(input.input_ids[place]);
                    unpadded.position_ids.push(input.position_ids[place]);
                    unpadded.document_ids.push(document);
                } else {
                    padding = place as u32;
                }
                before = id;
            }
        }
        for numbers in [&mut unpadded.input_ids, &mut unpadded.position_ids, &mut unpadded.document_ids] {
            numbers.resize(length, 0);
        }
        unpadded.in_rectangle.resize(length, padding);
        Some(unpadded)
    }

    pub(super) fn input(&self) -> Input<'_> {
        Input {
            input_ids: &self.input_ids,
            position_ids: &self.position_ids,
            document_ids: &self.document_ids,
            batch: 1,
            seq: self.input_ids.len(),
        }
    }

    /// The hidden states as a rectangle again. Those of padding are of some token, and nothing may read them.
    ///
    /// # Shapes
    /// - hidden: `[length, hidden]`
    /// - output: `[batch * seq, hidden]`
    pub(super) fn pad(&self, hidden: Tensor<2>) -> Tensor<2> {
        let device = hidden.device().inner();
        move_rows(hidden, int_tensor(&self.in_row, &device), int_tensor(&self.in_rectangle, &device))
    }
}

/// How many tokens a decoder computes of a micro-batch, padding included where there is any.
pub(super) fn computed_tokens(input: &Input) -> usize {
    let tokens = input.document_ids.iter().filter(|&&document| document > 0).count();
    tokens.max(1).next_multiple_of(MULTIPLE).min(input.document_ids.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_follow_one_another_and_come_back_to_their_places() {
        let documents: Vec<u32> = [vec![1; 3], vec![0; 21], vec![1, 1, 2, 2, 2], vec![0; 19]].concat();
        let ids: Vec<u32> = (100..148).collect();
        let positions: Vec<u32> = (0..48).map(|i| i % 24).collect();
        let input = |document_ids| Input {
            input_ids: &ids,
            position_ids: &positions,
            document_ids,
            batch: 2,
            seq: 24,
        };
        let unpadded = Unpadded::of(&input(&documents)).unwrap();
        let one = unpadded.input();
        assert_eq!((one.batch, one.seq), (1, 16));
        assert_eq!(one.document_ids[..9], [1, 1, 1, 2, 2, 3, 3, 3, 0]);
        assert_eq!(one.input_ids[..8], [100, 101, 102, 124, 125, 126, 127, 128]);
        assert_eq!(one.position_ids[..8], [0, 1, 2, 0, 1, 2, 3, 4]);

        let numbers: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let hidden = Tensor::<1>::from_floats(numbers.as_slice(), &Device::flex()).reshape([16, 1]);
        let padded: Vec<f32> = unpadded.pad(hidden).into_data().try_to_vec().unwrap();
        assert_eq!(padded[..3], [0.0, 1.0, 2.0]);
        assert_eq!(padded[24..29], [3.0, 4.0, 5.0, 6.0, 7.0]);

        // Nothing to spare.
        assert_eq!(Unpadded::of(&input(&[1; 48])), None);
    }
}
