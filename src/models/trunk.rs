//! The frozen blocks below all that is trained: what comes out of them is kept, a document at a time, so that later epochs begin
//! where training does. A document attends to itself alone, so it is the same in every micro-batch.

use super::{Input, int_tensor};
use crate::kernels::persistent;
use burn::tensor::Tensor;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// What is kept lies in one buffer, of which every device with WebGPU binds so much (<https://www.w3.org/TR/webgpu/#limits>).
const MOST_BYTES: usize = 128 << 20;

/// Clones share what is kept.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// How many blocks are frozen, from the first on.
    pub blocks: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// `[rows, hidden]`, from the first document on.
    hidden: Option<Tensor<2>>,
    /// How many rows there may be.
    rows: usize,
    /// How many there are.
    filled: usize,
    /// Where the rows of each document begin.
    starts: HashMap<Document, usize>,
}

/// Its token ids, and their positions.
type Document = (Vec<u32>, Vec<u32>);

impl Trunk {
    /// For `rows` tokens; what has no room is computed each time.
    pub fn new(blocks: usize, rows: usize) -> Trunk {
        let kept = Kept { hidden: None, rows, filled: 0, starts: HashMap::new() };
        Trunk { blocks, kept: Arc::new(Mutex::new(kept)) }
    }

    /// How many of so many tokens there is room for.
    pub fn room(tokens: usize, hidden_size: usize) -> usize {
        tokens.min(MOST_BYTES / (hidden_size * size_of::<f32>()).max(1))
    }

    /// The hidden states after the frozen blocks, which `compute` computes where they are not known of every document.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`, of padding those of some token or of nothing
    pub(super) fn forward(&self, input: &Input, compute: impl FnOnce() -> Tensor<2>) -> Tensor<2> {
        let documents = documents(input);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.find(&documents, input) {
            return known;
        }
        let hidden = compute();
        kept.add(documents, hidden.clone().inner());
        hidden
    }
}

impl Kept {
    fn find(&self, documents: &[(Range<usize>, Document)], input: &Input) -> Option<Tensor<2>> {
        let mut rows = vec![0; input.input_ids.len()];
        for (place, document) in documents {
            let start = *self.starts.get(document)?;
            rows[place.clone()].iter_mut().zip(start..).for_each(|(row, known)| *row = known as u32);
        }
        let hidden = self.hidden.as_ref()?;
        Some(hidden.clone().select(0, int_tensor(&rows, &hidden.device())))
    }

    fn add(&mut self, documents: Vec<(Range<usize>, Document)>, hidden: Tensor<2>) {
        let ([tokens, size], device) = (hidden.dims(), hidden.device());
        if self.filled + tokens > self.rows {
            return;
        }
        let empty = || persistent(&device, (), |()| Tensor::empty([self.rows, size], &device));
        let all = self.hidden.take().unwrap_or_else(empty);
        self.hidden = Some(all.slice_assign([self.filled..self.filled + tokens, 0..size], hidden));
        let starts = documents.into_iter().map(|(place, document)| (document, self.filled + place.start));
        self.starts.extend(starts);
        self.filled += tokens;
    }
}

/// Each document and where it lies in the micro-batch.
fn documents(input: &Input) -> Vec<(Range<usize>, Document)> {
    let mut documents = Vec::new();
    let mut start = 0;
    let same =
        |a: usize, b: usize| a / input.seq == b / input.seq && input.document_ids[a] == input.document_ids[b];
    for end in 1..=input.document_ids.len() {
        if end < input.document_ids.len() && same(start, end) {
            continue;
        }
        if input.document_ids[start] > 0 {
            let place = start..end;
            let document =
                (input.input_ids[place.clone()].to_vec(), input.position_ids[place.clone()].to_vec());
            documents.push((place, document));
        }
        start = end;
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn documents_are_found_again_in_other_rows() {
        let input = Input {
            input_ids: &[5, 6, 7, 0, 8, 9, 8, 9],
            position_ids: &[0, 1, 2, 0, 0, 1, 0, 1],
            document_ids: &[1, 1, 1, 0, 1, 1, 2, 2],
            batch: 2,
            seq: 4,
        };
        let hidden = Tensor::<1>::from_floats([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 5.0], &Device::flex());
        let trunk = Trunk::new(1, 10);
        trunk.forward(&input, || hidden.reshape([8, 1]));

        let elsewhere = Input {
            input_ids: &[8, 9, 5, 6, 7],
            position_ids: &[0, 1, 0, 1, 2],
            document_ids: &[1, 1, 2, 2, 2],
            batch: 1,
            seq: 5,
        };
        let found = trunk.forward(&elsewhere, || unreachable!("all of it is known"));
        assert_eq!(numbers(found), [4.0, 5.0, 0.0, 1.0, 2.0]);

        // Other positions make another document, for which there is no room.
        let later = Input { position_ids: &[1, 2, 0, 1, 2], ..elsewhere };
        for value in [1.0, 2.0] {
            let computed = || Tensor::<2>::full([5, 1], value, &Device::flex());
            assert_eq!(numbers(trunk.forward(&later, computed)), [value; 5]);
        }
    }

    #[test]
    fn a_binding_limits_what_is_kept() {
        assert_eq!(Trunk::room(1000, 576), 1000);
        assert_eq!(Trunk::room(1 << 20, 576), (128 << 20) / (576 * 4));
    }
}
