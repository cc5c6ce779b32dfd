//! Rows that say nearly the same: MinHash of runs of three words, compared where a band of hashes agrees
//! (Broder 1997, <https://doi.org/10.1109/SEQUEN.1997.666900>).

use super::finding::{Finding, FindingKind, rows_are};
use super::text;
use crate::data::types::{Dataset, RowContent};
use crate::recipe::Fix;
use std::collections::HashSet;
use txtfp::{
    Canonicalizer, Fingerprinter, LshIndex, MinHashFingerprinter, MinHashSig, ShingleTokenizer, WordTokenizer,
};

/// From this share of common word runs on, two rows count as near duplicates.
const SIMILARITY: f32 = 0.7;
const WORDS: usize = 3;
const HASHES: usize = 128;
/// 32 bands of 4 find a pair of this similarity with a probability of 0.9998.
const BANDS: usize = 32;

/// Two rows that are nearly or exactly alike, by place; `first` is the earliest such row.
pub struct Pair {
    pub first: usize,
    pub second: usize,
    pub similarity: f32,
}

/// Comparisons of two rows, which take some seconds. Rows of which most are half alike would take them all with each other.
const MOST_COMPARED: usize = 10_000_000;

/// What was found.
pub struct Pairs {
    /// Each row that has an earlier one like it, with that one.
    pub pairs: Vec<Pair>,
    /// So many rows were looked at, the first ones.
    pub looked_at: usize,
}

/// Looks for rows that are nearly alike.
pub fn pairs(dataset: &Dataset) -> Pairs {
    let words = ShingleTokenizer { k: WORDS, inner: WordTokenizer };
    let hasher = MinHashFingerprinter::<_, HASHES>::new(Canonicalizer::default(), words);
    let mut index =
        LshIndex::<HASHES>::with_bands_rows(BANDS, HASHES / BANDS).expect("bands times rows is HASHES");
    let (mut pairs, mut compared) = (Vec::new(), 0);
    for (place, row) in dataset.rows.iter().enumerate() {
        if compared > MOST_COMPARED {
            return Pairs { pairs, looked_at: place };
        }
        // A row of fewer words has nothing to compare.
        let Ok(signature) = hasher.fingerprint(&text::of_row(&row.content)) else { continue };
        let candidates = index.query(&signature);
        compared += candidates.len();
        let like = |first: u64| {
            let similarity = similarity(index.get(first)?, &signature);
            (similarity >= SIMILARITY).then_some(Pair { first: first as usize, second: place, similarity })
        };
        // In ascending order.
        match candidates.into_iter().find_map(like) {
            Some(pair) => pairs.push(pair),
            // What is like a row that is kept is found by that one.
            None => index.insert(place as u64, signature),
        }
    }
    Pairs { pairs, looked_at: dataset.rows.len() }
}

impl Pairs {
    /// What there is to say where not all rows were looked at.
    pub fn rest(&self, dataset: &Dataset) -> Option<String> {
        (self.looked_at < dataset.rows.len()).then(|| {
            format!(
                "only the first {} rows were looked at for near duplicates: too many are half alike",
                self.looked_at
            )
        })
    }
}

pub fn finding(dataset: &Dataset, pairs: &Pairs) -> Option<Finding> {
    let exact: HashSet<usize> = exact(dataset).into_iter().collect();
    let near: Vec<(usize, String)> = pairs
        .pairs
        .iter()
        .filter(|pair| !exact.contains(&pair.second))
        .map(|pair| {
            let line = dataset.rows[pair.first].line;
            (pair.second, format!("{:.0} % like line {line}", 100.0 * pair.similarity))
        })
        .collect();
    Finding::of(FindingKind::NearDuplicates, Fix::DropNearDuplicates, dataset, &near, |count| {
        format!(
            "{} nearly the same as an earlier one: the model sees it more often than the rest{}",
            rows_are(count),
            pairs.rest(dataset).map(|rest| format!(" ({rest})")).unwrap_or_default()
        )
    })
}

/// Rows that say nearly or exactly what an earlier one says.
pub fn all(dataset: &Dataset, pairs: &Pairs) -> Vec<usize> {
    let mut places = exact(dataset);
    places.extend(pairs.pairs.iter().map(|pair| pair.second));
    places
}

/// Rows that say exactly what an earlier one says.
pub fn exact(dataset: &Dataset) -> Vec<usize> {
    let mut seen: HashSet<&RowContent> = HashSet::with_capacity(dataset.rows.len());
    let rows = dataset.rows.iter().enumerate();
    rows.filter(|(_, row)| !row.content.is_blank() && !seen.insert(&row.content))
        .map(|(place, _)| place)
        .collect()
}

fn similarity(a: &MinHashSig<HASHES>, b: &MinHashSig<HASHES>) -> f32 {
    txtfp::jaccard(a, b)
}
