//! The user's own names for the columns.

use crate::data::listing::list_some;
use crate::data::types::DataShape;
use crate::error::{Error, Result};
use crate::recipe::ColumnMapping;

pub(super) fn mapped_column<'m>(mapping: &'m ColumnMapping, part: &str) -> Option<&'m str> {
    let column = match part {
        "text" => &mapping.text,
        "prompt" => &mapping.prompt,
        "completion" => &mapping.completion,
        "messages" => &mapping.messages,
        "instruction" => &mapping.instruction,
        "input" => &mapping.input,
        "output" => &mapping.output,
        "chosen" => &mapping.chosen,
        "rejected" => &mapping.rejected,
        "label" => &mapping.label,
        "system" => &mapping.system,
        "anchor" => &mapping.anchor,
        "positive" => &mapping.positive,
        "negative" => &mapping.negative,
        "sentence1" => &mapping.sentence1,
        "sentence2" => &mapping.sentence2,
        "score" => &mapping.score,
        "answer" => &mapping.answer,
        _ => &None,
    };
    column.as_deref()
}

/// The shape of a row's answer, without the `label` that may rate it.
pub(super) fn mapping_shape(mapping: &ColumnMapping, columns: &[String]) -> Result<DataShape> {
    let setting = |value: String, expected: String| Error::InvalidSetting {
        key: "data.mapping".into(),
        value,
        expected,
    };
    const PARTS: [&str; 18] = [
        "text",
        "prompt",
        "completion",
        "label",
        "messages",
        "instruction",
        "input",
        "output",
        "chosen",
        "rejected",
        "system",
        "anchor",
        "positive",
        "negative",
        "sentence1",
        "sentence2",
        "score",
        "answer",
    ];
    let given: Vec<&str> = PARTS.into_iter().filter(|part| mapped_column(mapping, part).is_some()).collect();
    for part in &given {
        let column = mapped_column(mapping, part).unwrap_or_default();
        if !columns.iter().any(|c| c == column) {
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            return Err(setting(
                format!("{{\"{part}\": \"{column}\"}}"),
                format!("the file's columns are {}", list_some(&names)),
            ));
        }
    }
    let main: Vec<&str> = given.iter().copied().filter(|p| !matches!(*p, "input" | "system")).collect();
    match main.as_slice() {
        ["text"] => Ok(DataShape::Text),
        ["text", "label"] => Ok(DataShape::Classification),
        ["prompt"] | ["prompt", "answer"] => Ok(DataShape::Prompts),
        ["prompt", "completion"] | ["prompt", "completion", "label"] => Ok(DataShape::PromptCompletion),
        ["messages"] | ["label", "messages"] => Ok(DataShape::Messages),
        ["instruction", "output"] | ["label", "instruction", "output"] => Ok(DataShape::Alpaca),
        ["chosen", "rejected"] | ["prompt", "chosen", "rejected"] => Ok(DataShape::Preference),
        ["anchor", "positive"] | ["anchor", "positive", "negative"] => Ok(DataShape::TextPairs),
        ["sentence1", "sentence2", "score"] => Ok(DataShape::ScoredPairs),
        _ => Err(setting(
            if given.is_empty() { "empty".into() } else { format!("a mapping of {}", given.join(", ")) },
            "it must map text (and label), or prompt (and answer), or prompt and completion, or messages, or instruction and output (each with label where answers are rated), or (prompt,) chosen and rejected, or anchor and positive (and negative), or sentence1, sentence2 and score".into(),
        )),
    }
}
