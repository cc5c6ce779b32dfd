//! Training and held-out examples.

use super::random::{SPLIT_STREAM, rng, shuffle};
use crate::data::encode::example::Example;
use std::collections::HashMap;

/// Splits off about `validation_fraction` of the examples; see [`held_out`].
/// Returns (training, validation), each in the order given.
pub fn split(examples: Vec<Example>, validation_fraction: f64, seed: u64) -> (Vec<Example>, Vec<Example>) {
    let is_held_out = held_out(&examples, validation_fraction, seed);
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for (example, goes_to_validation) in examples.into_iter().zip(is_held_out) {
        if goes_to_validation { validation.push(example) } else { train.push(example) }
    }
    (train, validation)
}

/// Which examples are held out: about `validation_fraction` of them, at least one where it is above 0 and
/// there are two different ones. Examples with the same tokens stay on one side.
pub fn held_out(examples: &[Example], validation_fraction: f64, seed: u64) -> Vec<bool> {
    let mut group_of: HashMap<&[u32], usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let group = *group_of.entry(&example.input_ids).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(index);
    }
    let mut is_held_out = vec![false; examples.len()];
    if validation_fraction <= 0.0 || groups.len() < 2 {
        return is_held_out;
    }
    let wanted = ((examples.len() as f64 * validation_fraction).round() as usize).max(1);
    let mut rng = rng(seed, SPLIT_STREAM);
    shuffle(&mut groups, &mut rng);
    let mut count = 0;
    // One group always stays to train on.
    for group in &groups[1..] {
        // A group too large for what is left waits: many copies of a row are not a validation set.
        if count == 0 || count + group.len() <= wanted {
            group.iter().for_each(|&index| is_held_out[index] = true);
            count += group.len();
        }
        if count >= wanted {
            break;
        }
    }
    is_held_out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(lengths: &[usize]) -> Vec<Example> {
        lengths.iter().enumerate().map(|(i, &n)| Example::of_text(vec![i as u32; n], 0)).collect()
    }

    #[test]
    fn copies_stay_on_one_side() {
        let mut examples = lengths(&[3; 40]);
        examples.extend(lengths(&[3; 40]));
        let (train, validation) = split(examples.clone(), 0.1, 3);
        assert_eq!((train.len(), validation.len()), (72, 8));
        assert!(validation.iter().all(|v| !train.contains(v)));
        assert_eq!(split(examples.clone(), 0.1, 3).1, validation);
        assert_ne!(split(examples.clone(), 0.1, 4).1, validation);
        assert_eq!(split(examples, 0.0, 3).1, []);
    }

    #[test]
    fn small_sets_split_too() {
        assert_eq!(split(lengths(&[3]), 0.5, 1).1.len(), 0);
        assert_eq!(split(lengths(&[3, 4]), 0.1, 1).1.len(), 1);
        assert_eq!(split(lengths(&[3, 4]), 1.0, 1).0.len(), 1);
    }
}
