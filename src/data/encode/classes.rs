//! The classes of labelled texts as numbers.

use super::example::Example;
use crate::data::read::invalid_line;
use crate::data::types::{Dataset, RowContent};
use crate::error::Result;
use std::collections::{HashMap, HashSet};

/// Numbers each example's class by its place in `labels`.
///
/// # Errors
/// A row whose label is not among them.
pub fn number_classes(dataset: &Dataset, examples: &mut [Example], labels: &[String]) -> Result<()> {
    let numbers: HashMap<&str, usize> = labels.iter().map(String::as_str).zip(0..).collect();
    for example in examples {
        let row = &dataset.rows[example.row];
        let RowContent::Labelled { label, .. } = &row.content else { continue };
        let Some(&number) = numbers.get(label.as_str()) else {
            let reason = format!(
                "has the label \"{label}\", which is not one of the model's classes ({}); correct it, remove the row, \
                 or train a head for these classes from a language model",
                labels.join(", ")
            );
            return Err(invalid_line(&dataset.file, row.line, reason));
        };
        example.class = Some(number as u32);
    }
    Ok(())
}

/// A sentence for the classes that only held-out rows have: the model never sees them.
pub fn only_held_out(train: &[Example], validation: &[Example], labels: &[String]) -> Option<String> {
    let of = |examples: &[Example]| -> HashSet<u32> { examples.iter().filter_map(|e| e.class).collect() };
    let (trained, held_out) = (of(train), of(validation));
    let missing: Vec<String> = (0..labels.len())
        .filter(|&class| held_out.contains(&(class as u32)) && !trained.contains(&(class as u32)))
        .map(|class| format!("\"{}\"", labels[class]))
        .collect();
    (!missing.is_empty()).then(|| {
        let (word, verb) = if missing.len() == 1 { ("label", "occurs") } else { ("labels", "occur") };
        format!(
            "the {word} {} {verb} only among the held-out rows and cannot be learned; add rows of it, or change \
             eval.validation_fraction or train.seed",
            missing.join(", ")
        )
    })
}
