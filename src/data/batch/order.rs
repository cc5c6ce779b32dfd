//! Which examples make a row, and in which order rows are learned.

use super::random::{FIRST_EPOCH_STREAM, rng, shuffle};
use crate::data::encode::example::Example;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchOptions {
    /// Rows in a batch. A row is one example, or several when packing.
    pub batch_size: usize,
    /// In tokens.
    pub max_seq_length: usize,
    /// Put several examples into one row; none attends to another.
    pub packing: bool,
    pub pad_token_id: u32,
}

/// The examples, by index, that make one row of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    pub examples: Vec<usize>,
}

/// The batches of one epoch, each example once. The order is a function of the arguments alone, so
/// that a run can be resumed at any batch of any epoch.
///
/// When packing, examples are laid into rows of `max_seq_length` by best fit, longest first, and the
/// rows are then shuffled.
pub fn epoch_batches(
    examples: &[Example],
    options: &BatchOptions,
    seed: u64,
    epoch: usize,
) -> Vec<Vec<BatchRow>> {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut rng = rng(seed, FIRST_EPOCH_STREAM + epoch as u64);
    shuffle(&mut order, &mut rng);
    let mut rows: Vec<BatchRow> = if options.packing {
        pack(examples, order, options.max_seq_length)
    } else {
        order.into_iter().map(|index| BatchRow { examples: vec![index] }).collect()
    };
    if options.packing {
        shuffle(&mut rows, &mut rng);
    }
    rows.chunks(options.batch_size.max(1)).map(<[BatchRow]>::to_vec).collect()
}

/// Best fit, longest first: each example goes to the fullest row that still has room for it.
fn pack(examples: &[Example], mut order: Vec<usize>, capacity: usize) -> Vec<BatchRow> {
    order.sort_by_key(|&index| std::cmp::Reverse(examples[index].input_ids.len()));
    let mut rows: Vec<BatchRow> = Vec::new();
    // Rows by the room they have left.
    let mut by_room: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in order {
        let length = examples[index].input_ids.len();
        let fitting = by_room.range(length..).next().map(|(room, _)| *room);
        let (row, room) = match fitting.and_then(|room| Some((by_room.get_mut(&room)?.pop()?, room))) {
            Some(found) => found,
            None => {
                rows.push(BatchRow { examples: Vec::new() });
                (rows.len() - 1, capacity.max(length))
            }
        };
        if by_room.get(&room).is_some_and(Vec::is_empty) {
            by_room.remove(&room);
        }
        rows[row].examples.push(index);
        by_room.entry(room - length).or_default().push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(packing: bool) -> BatchOptions {
        BatchOptions { batch_size: 2, max_seq_length: 12, packing, pad_token_id: 9 }
    }

    fn lengths(lengths: &[usize]) -> Vec<Example> {
        lengths.iter().enumerate().map(|(i, &n)| Example::of_text(vec![i as u32; n], 0)).collect()
    }

    #[test]
    fn an_epoch_holds_every_example_once_and_is_repeatable() {
        let examples = lengths(&[5, 3, 12, 7, 2, 4, 9, 1, 6, 6, 3]);
        for packing in [false, true] {
            let batches = epoch_batches(&examples, &options(packing), 7, 0);
            let mut seen: Vec<usize> =
                batches.iter().flatten().flat_map(|row| row.examples.clone()).collect();
            assert_eq!(batches, epoch_batches(&examples, &options(packing), 7, 0));
            assert_ne!(batches, epoch_batches(&examples, &options(packing), 7, 1));
            assert_ne!(batches, epoch_batches(&examples, &options(packing), 8, 0));
            seen.sort();
            assert_eq!(seen, (0..examples.len()).collect::<Vec<_>>());
            for row in batches.iter().flatten() {
                assert!(row.examples.iter().map(|&i| examples[i].input_ids.len()).sum::<usize>() <= 12);
            }
        }
        // 58 tokens need at least 5 rows of 12.
        assert_eq!(epoch_batches(&examples, &options(true), 7, 0).iter().flatten().count(), 5);
    }

    #[test]
    fn the_order_is_the_same_everywhere() {
        let order: Vec<usize> = epoch_batches(&lengths(&[1; 8]), &options(false), 42, 0)
            .iter()
            .flatten()
            .map(|row| row.examples[0])
            .collect();
        assert_eq!(order, ORDER_OF_SEED_42);
    }

    const ORDER_OF_SEED_42: [usize; 8] = [6, 3, 7, 0, 4, 2, 1, 5];
}
