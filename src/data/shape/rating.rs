//! Ratings: whether an answer is liked, in the words that exporters use, and which column says so.

use super::values::{is_blank, kind};
use crate::data::read::Records;
use crate::data::types::DataShape;
use serde_json::Value;

/// Columns whose only sense beside an answer is whether it is liked. The first is TRL's name, `kto_tag` LLaMA-Factory's.
const RATINGS: [&str; 12] = [
    "label",
    "liked",
    "is_liked",
    "like",
    "thumbs_up",
    "thumbs",
    "thumb",
    "kto_tag",
    "desirable",
    "is_desirable",
    "upvoted",
    "vote",
];

/// Columns that may say so, and may as well hold anything else: they do where every value is a verdict, and one of them is
/// against its answer.
const MAYBE_RATINGS: [&str; 13] = [
    "rating",
    "feedback",
    "preference",
    "score",
    "reward",
    "is_good",
    "good",
    "correct",
    "is_correct",
    "helpful",
    "is_helpful",
    "accepted",
    "chosen",
];

const LIKED: [&str; 22] = [
    "true",
    "1",
    "1.0",
    "yes",
    "y",
    "good",
    "like",
    "liked",
    "up",
    "thumbs up",
    "thumbs_up",
    "thumbsup",
    "thumb up",
    "upvote",
    "positive",
    "chosen",
    "desirable",
    "accepted",
    "accept",
    "correct",
    "helpful",
    "👍",
];
const DISLIKED: [&str; 23] = [
    "false",
    "0",
    "0.0",
    "no",
    "n",
    "bad",
    "dislike",
    "disliked",
    "down",
    "thumbs down",
    "thumbs_down",
    "thumbsdown",
    "thumb down",
    "downvote",
    "negative",
    "rejected",
    "undesirable",
    "reject",
    "incorrect",
    "wrong",
    "unhelpful",
    "not helpful",
    "👎",
];

/// A rating as liked (true) or not; nothing where it is neither.
pub(super) fn verdict(rating: &Value) -> Option<bool> {
    match rating {
        Value::Bool(liked) => Some(*liked),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(text) => {
            let word = text.trim().to_lowercase();
            if LIKED.contains(&word.as_str()) {
                Some(true)
            } else {
                DISLIKED.contains(&word.as_str()).then_some(false)
            }
        }
        _ => None,
    }
}

/// What is said of a rating that is neither.
pub(super) fn unreadable(column: &str, rating: &Value) -> String {
    format!(
        "\"{column}\" holds {} where true or false is expected ({ALLOWED}); write one of these, or, if the column is no \
         rating, name the others alone in data.mapping",
        shown(rating)
    )
}

const ALLOWED: &str = "or 1 or 0, yes or no, good or bad, like or dislike, thumbs up or down";

/// What the columns beside a file's answers say of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This column rates the answers.
    Rating(String),
    /// This column has the name of a rating, but its values, of which one is given, are none.
    NoRating {
        column: String,
        value: String,
    },
    Nothing,
}

/// Looks for a rating beside answers of `shape`.
pub(super) fn find(records: &Records, shape: DataShape, is_used: impl Fn(&str) -> bool) -> Found {
    let has_answers = matches!(
        shape,
        DataShape::PromptCompletion | DataShape::Alpaca | DataShape::Messages | DataShape::ShareGpt
    );
    if !has_answers {
        return Found::Nothing;
    }
    let column = |name: &&str| {
        records.columns.iter().find(|column| column.trim().eq_ignore_ascii_case(name) && !is_used(column))
    };
    let mut no_rating = Found::Nothing;
    for (column, is_sure) in RATINGS
        .iter()
        .filter_map(|name| Some((column(name)?, true)))
        .chain(MAYBE_RATINGS.iter().filter_map(|name| Some((column(name)?, false))))
    {
        let values = || {
            let all = records.records.iter().filter_map(|record| record.fields.get(column));
            all.filter(|value| !is_blank(value))
        };
        let verdicts = || values().map(verdict);
        let is_rating = if is_sure {
            // One readable value makes the column a rating, and the others mistakes; so do numbers, such as stars.
            let is_number = |value: &Value| {
                value.is_number() || value.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok())
            };
            values().any(|value| verdict(value).is_some() || is_number(value))
        } else {
            verdicts().all(|verdict| verdict.is_some()) && verdicts().any(|verdict| verdict == Some(false))
        };
        if is_rating {
            return Found::Rating(column.clone());
        }
        if let (Found::Nothing, Some(value)) = (&no_rating, values().find(|value| verdict(value).is_none())) {
            no_rating = Found::NoRating { column: column.clone(), value: shown(value) };
        }
    }
    no_rating
}

/// Words for a column that has the name of a rating and rates nothing.
pub(super) fn no_rating(column: &str, value: &str) -> String {
    format!("column \"{column}\" holds {value}, which is no rating (true or false, {ALLOWED})")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.chars().take(40).collect::<String>()),
        Value::Number(number) => number.to_string(),
        other => kind(other).into(),
    }
}
