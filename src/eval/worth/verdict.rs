//! What the figures say, in a sentence, which may be that training was not worth it.

use super::Way;
use crate::metrics::{Better, Unit};

/// What the ways are compared by.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// A verb with its object, in which `{}` is the value.
    pub phrase: String,
    pub unit: Unit,
    pub better: Better,
    pub scores: Vec<(Way, Scores)>,
    /// The loss of each row's own answer, where that can tell ways apart whose scores do not.
    pub losses: Vec<(Way, Vec<f64>)>,
    /// Tokens in the prompt, the mean over the rows.
    pub prompt_tokens: Vec<(Way, f64)>,
    /// Rows in the prompt of [`Way::Examples`].
    pub examples: usize,
    /// In how many rows the tuned model's answer is the row's own, where there is such a number.
    pub same: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Scores {
    /// Row by row, in the same order for all ways.
    Rows(Vec<f64>),
    /// One number over so many rows.
    Whole { value: f64, rows: usize },
}

/// By what one way is better than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    ByScore,
    /// The scores do not tell.
    ByLoss,
    /// By a number of which it is not known how far chance moves it.
    Untested,
}

/// One sentence.
pub fn sentence(lead: &Lead) -> String {
    let rows = lead.scores.first().map_or(0, |(_, scores)| scores.rows());
    let on = format!("On {rows} held-out {}", if rows == 1 { "row" } else { "rows" });
    let value = |way| lead.scores_of(way).map(|scores| shown(scores.mean(), lead.unit));
    let does = |value: String| lead.phrase.replace("{}", &value);
    let with_examples = value(Way::Examples).map(|value| {
        let dear = match (lead.tokens(Way::Examples), lead.tokens(Way::Base)) {
            (Some(long), Some(short)) if short > 0.0 => {
                format!(" for {} times the prompt tokens", times(long / short))
            }
            _ => String::new(),
        };
        let examples = if lead.examples == 1 { "example" } else { "examples" };
        format!("a prompt with {} {examples} gets {value}{dear}", lead.examples)
    });
    let base = value(Way::Base).unwrap_or_default();
    let same = lead.same.map_or(String::new(), |same| format!(" (word for word in {same} of {rows} rows)"));
    match (value(Way::Tuned), with_examples) {
        (Some(tuned), Some(examples)) => format!(
            "{on} the tuned model {}{same}; {examples}, the base as it is {base}: {}.",
            does(tuned),
            verdict(lead)
        ),
        (Some(tuned), None) => {
            format!(
                "{on} the tuned model {}{same}; the base as it is gets {base}: {}.",
                does(tuned),
                verdict(lead)
            )
        }
        (None, Some(examples)) => {
            format!(
                "{on} the base as it is {}; {examples}: nothing is trained yet that could do better.",
                does(base)
            )
        }
        (None, None) => {
            format!("{on} the base as it is {}: nothing is trained yet that could do better.", does(base))
        }
    }
}

fn verdict(lead: &Lead) -> String {
    let above = |one, other| lead.above(one, other);
    let by = |decisions: &[Option<Above>]| match decisions {
        decisions if decisions.contains(&Some(Above::Untested)) => ", unless that is chance",
        decisions if decisions.contains(&Some(Above::ByLoss)) => ", by the loss of the rows' own answers",
        _ => "",
    };
    let (over_base, under_base) = (above(Way::Tuned, Way::Base), above(Way::Base, Way::Tuned));
    if under_base.is_some() {
        return format!("here training made it worse{}", by(&[under_base]));
    }
    if lead.scores_of(Way::Examples).is_none() {
        return match over_base {
            Some(_) => format!("here training is the better way{}", by(&[over_base])),
            None => no_difference("the two"),
        };
    }
    let over_examples = above(Way::Tuned, Way::Examples);
    let under_examples = above(Way::Examples, Way::Tuned);
    let examples_help = above(Way::Examples, Way::Base);
    match (over_base, over_examples, under_examples) {
        (Some(_), Some(_), _) => {
            format!("here training is the better way{}", by(&[over_base, over_examples]))
        }
        (_, _, Some(_)) => {
            format!("here the examples are the better way, and need no training{}", by(&[under_examples]))
        }
        (Some(_), None, None) => {
            let saved = lead.tokens(Way::Examples).zip(lead.tokens(Way::Tuned));
            let saved = saved.map_or(0.0, |(long, short)| (long - short).max(0.0));
            format!(
                "training shows no clear lead over the examples, and saves {saved:.0} prompt tokens an answer{}",
                by(&[over_base])
            )
        }
        (None, ..) if examples_help.is_some() => {
            format!("only the examples are clearly better than the base{}", by(&[examples_help]))
        }
        (None, ..) => no_difference("the three"),
    }
}

fn no_difference(what: &str) -> String {
    format!("so few rows show no clear difference between {what}")
}

impl Scores {
    fn rows(&self) -> usize {
        match self {
            Scores::Rows(rows) => rows.len(),
            Scores::Whole { rows, .. } => *rows,
        }
    }

    fn mean(&self) -> f64 {
        match self {
            Scores::Rows(rows) => mean(rows),
            Scores::Whole { value, .. } => *value,
        }
    }

    /// Whether these are higher than `other`: for rows, the mean of their differences by more than two of its standard errors; for
    /// shares, their difference by two of its own. `None` where chance is not known.
    fn is_above(&self, other: &Scores, unit: Unit) -> Option<bool> {
        match (self, other) {
            (Scores::Rows(rows), Scores::Rows(others)) => Some(rows_are_above(rows, others)),
            _ if unit == Unit::Number => None,
            _ => {
                let error =
                    |scores: &Scores| scores.mean() * (1.0 - scores.mean()) / scores.rows().max(1) as f64;
                let few = self.rows().min(other.rows()) < 3;
                Some(!few && self.mean() - other.mean() > 2.0 * (error(self) + error(other)).sqrt())
            }
        }
    }
}

impl Lead {
    fn scores_of(&self, way: Way) -> Option<&Scores> {
        self.scores.iter().find(|(of, _)| *of == way).map(|(_, scores)| scores)
    }

    fn tokens(&self, way: Way) -> Option<f64> {
        self.prompt_tokens.iter().find(|(of, _)| *of == way).map(|(_, tokens)| *tokens)
    }

    /// Whether `one` is clearly better than `other`.
    fn above(&self, one: Way, other: Way) -> Option<Above> {
        let (one_scores, other_scores) = self.scores_of(one).zip(self.scores_of(other))?;
        let (better, worse) = match self.better {
            Better::Lower => (other_scores, one_scores),
            _ => (one_scores, other_scores),
        };
        match (better.is_above(worse, self.unit), worse.is_above(better, self.unit)) {
            (Some(true), _) => Some(Above::ByScore),
            (_, Some(true)) => None,
            (None, _) => (better.mean() > worse.mean()).then_some(Above::Untested),
            _ => {
                let losses = of(&self.losses, one).zip(of(&self.losses, other));
                losses.filter(|(one, other)| rows_are_above(other, one)).map(|_| Above::ByLoss)
            }
        }
    }
}

fn rows_are_above(rows: &[f64], others: &[f64]) -> bool {
    if rows.len() < 3 {
        return false;
    }
    let differences: Vec<f64> = rows.iter().zip(others).map(|(a, b)| a - b).collect();
    let (count, mean) = (differences.len() as f64, mean(&differences));
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    mean > 1e-9 && mean > 2.0 * (squares / (count - 1.0) / count).sqrt()
}

fn of(ways: &[(Way, Vec<f64>)], way: Way) -> Option<&[f64]> {
    ways.iter().find(|(of, _)| *of == way).map(|(_, rows)| rows.as_slice())
}

/// 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{:.0} %", 100.0 * value),
        Unit::Number => format!("{value:.2}"),
    }
}

fn times(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(base: [f64; 4], examples: [f64; 4], tuned: [f64; 4]) -> Lead {
        let rows = [(Way::Base, base), (Way::Examples, examples), (Way::Tuned, tuned)];
        Lead {
            phrase: "agrees in {} of the words".into(),
            unit: Unit::Share,
            better: Better::Higher,
            scores: rows.map(|(way, rows)| (way, Scores::Rows(rows.to_vec()))).into(),
            losses: Vec::new(),
            prompt_tokens: vec![(Way::Base, 40.0), (Way::Examples, 250.0), (Way::Tuned, 40.0)],
            examples: 4,
            same: None,
        }
    }

    const LOW: [f64; 4] = [0.2, 0.1, 0.3, 0.2];
    const HIGH: [f64; 4] = [0.9, 0.8, 1.0, 0.9];
    const EITHER: [f64; 4] = [0.9, 0.0, 0.7, 0.1];

    #[test]
    fn the_sentence_says_what_the_figures_are_and_what_follows() {
        assert_eq!(
            sentence(&Lead { same: Some(2), ..lead(LOW, LOW, HIGH) }),
            "On 4 held-out rows the tuned model agrees in 90 % of the words (word for word in 2 of 4 rows); a prompt with 4 examples gets 20 % for 6.2 times \
             the prompt tokens, the base as it is 20 %: here training is the better way."
        );
        let without = Lead {
            scores: lead(LOW, LOW, HIGH)
                .scores
                .into_iter()
                .filter(|(way, _)| *way != Way::Examples)
                .collect(),
            ..lead(LOW, LOW, HIGH)
        };
        assert!(
            sentence(&without).ends_with(
                "90 % of the words; the base as it is gets 20 %: here training is the better way."
            )
        );
        let untrained = Lead { scores: lead(LOW, HIGH, HIGH).scores[..2].to_vec(), ..lead(LOW, HIGH, HIGH) };
        assert!(sentence(&untrained).ends_with(
            "gets 90 % for 6.2 times the prompt tokens: nothing is trained yet that could do better."
        ));
    }

    #[test]
    fn the_verdict_may_be_against_training() {
        let verdict = |base, examples, tuned| verdict(&lead(base, examples, tuned));
        assert_eq!(verdict(HIGH, HIGH, LOW), "here training made it worse");
        assert_eq!(verdict(LOW, HIGH, LOW), "here the examples are the better way, and need no training");
        assert_eq!(
            verdict(LOW, HIGH, HIGH),
            "training shows no clear lead over the examples, and saves 210 prompt tokens an answer"
        );
        assert_eq!(verdict(LOW, HIGH, EITHER), "here the examples are the better way, and need no training");
        assert_eq!(verdict(LOW, LOW, EITHER), "so few rows show no clear difference between the three");
        assert_eq!(verdict(LOW, LOW, LOW), "so few rows show no clear difference between the three");
    }

    #[test]
    fn the_loss_decides_where_the_score_does_not_tell() {
        let mut lead = lead(LOW, LOW, EITHER);
        lead.losses = vec![
            (Way::Base, [3.0, 3.1, 2.9, 3.0].into()),
            (Way::Examples, [2.5, 2.6, 2.4, 2.5].into()),
            (Way::Tuned, [0.5, 0.6, 0.4, 0.5].into()),
        ];
        assert_eq!(verdict(&lead), "here training is the better way, by the loss of the rows' own answers");
        // A score that tells is not overruled.
        lead.scores = self::lead(HIGH, HIGH, LOW).scores;
        assert_eq!(verdict(&lead), "here training made it worse");
    }

    #[test]
    fn two_rows_are_never_clear() {
        assert!(!rows_are_above(&[1.0, 1.0], &[0.0, 0.0]));
        assert!(rows_are_above(&[1.0, 1.0, 1.0], &[0.0, 0.0, 0.0]));
        assert!(!rows_are_above(&[0.5, 0.5, 0.5], &[0.5, 0.5, 0.5]));
    }

    #[test]
    fn shares_of_few_rows_may_be_chance_and_other_numbers_are_said_to_be_untested() {
        let of = |unit, base, tuned, rows| {
            let whole = |value| Scores::Whole { value, rows };
            let scores = vec![(Way::Base, whole(base)), (Way::Tuned, whole(tuned))];
            sentence(&Lead {
                phrase: "reaches {} in accuracy".into(),
                unit,
                scores,
                examples: 0,
                ..lead(LOW, LOW, LOW)
            })
        };
        let (sure, chance) = (of(Unit::Share, 0.5, 0.9, 40), of(Unit::Share, 0.5, 0.6, 10));
        assert_eq!(
            sure,
            "On 40 held-out rows the tuned model reaches 90 % in accuracy; the base as it is gets 50 %: here training is the better way."
        );
        assert!(chance.ends_with("so few rows show no clear difference between the two."), "{chance}");
        assert!(
            of(Unit::Number, 0.1, 0.8, 40)
                .ends_with("here training is the better way, unless that is chance.")
        );
    }
}
