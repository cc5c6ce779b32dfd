//! Rows in another language than most.

use super::finding::{Finding, FindingKind, rows_are};
use super::text;
use crate::data::types::Dataset;
use crate::recipe::Fix;
use std::collections::BTreeMap;
use whatlang::Lang;

/// A shorter text does not tell its language surely.
const FEWEST_CHARACTERS: usize = 60;
const CONFIDENCE: f64 = 0.9;

pub fn finding(dataset: &Dataset) -> Option<Finding> {
    let languages = languages(dataset);
    let main = main_language(&languages)?;
    let others: Vec<(usize, String)> = languages
        .iter()
        .filter(|(_, language)| *language != main)
        .map(|(place, language)| (*place, language.eng_name().to_string()))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    others.iter().for_each(|(_, name)| *counts.entry(name).or_default() += 1);
    let names: Vec<String> = counts.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    Finding::of(FindingKind::Language, Fix::DropOtherLanguages, dataset, &others, |count| {
        let most = format!("most rows are in {}", main.eng_name());
        format!("{} probably in another language: {}; {most}", rows_are(count), names.join(", "))
    })
}

pub fn rows(dataset: &Dataset) -> Vec<usize> {
    let languages = languages(dataset);
    let Some(main) = main_language(&languages) else { return Vec::new() };
    languages.into_iter().filter(|(_, language)| *language != main).map(|(place, _)| place).collect()
}

/// The rows whose language is sure, by place.
fn languages(dataset: &Dataset) -> Vec<(usize, Lang)> {
    let sure = |row: &str| {
        let long = row.chars().take(FEWEST_CHARACTERS).count() == FEWEST_CHARACTERS;
        let found = whatlang::detect(row).filter(|found| long && found.confidence() >= CONFIDENCE);
        found.map(|found| found.lang())
    };
    let rows = dataset.rows.iter().enumerate();
    rows.filter_map(|(place, row)| Some((place, sure(&text::of_row(&row.content))?))).collect()
}

fn main_language(languages: &[(usize, Lang)]) -> Option<Lang> {
    let mut counts: BTreeMap<&str, (usize, Lang)> = BTreeMap::new();
    for (_, language) in languages {
        counts.entry(language.code()).or_insert((0, *language)).0 += 1;
    }
    counts.into_values().max_by_key(|(count, _)| *count).map(|(_, language)| language)
}
