//! What a user is told of a data set before training on it, made once: the terminal, the page and the run's record say the same.

use super::statement::{Statement, Subject};
use super::summary::DataReport;
use crate::data::listing::{RowList, lines_of};
use crate::recipe::{Objective, Recipe};

/// All there is to say, in the order of how the data was dealt with. `train` and `held_out` are how many examples
/// the two sides of the run's split have.
pub fn account(report: &DataReport, recipe: &Recipe, train: usize, held_out: usize) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut say = |about, sentence: String| statements.push(Statement { about, sentence });
    report.notes.iter().for_each(|note| say(Subject::Reading, note.clone()));
    for change in &report.changes {
        let rows = RowList::new(change.lines.iter().copied());
        let at = if rows.count > 0 { format!(" ({})", lines_of(&rows)) } else { String::new() };
        say(Subject::Change, format!("{}{at}", change.sentence));
    }
    let cut = &report.truncated;
    if cut.count > 0 {
        let (rows, end) = match cut.count {
            1 => ("1 row is".into(), "its end is"),
            count => (format!("{count} rows are"), "their ends are"),
        };
        let most = recipe.train.max_seq_length;
        let sentence = format!(
            "{rows} longer than {most} tokens (train.max_seq_length) and cut: {end} not learned ({})",
            lines_of(cut)
        );
        say(Subject::Cut, sentence);
    }
    let twice = &report.duplicates;
    if twice.count > 0 {
        let rows = if twice.count == 1 { "1 row says".into() } else { format!("{} rows say", twice.count) };
        let sentence = format!(
            "{rows} exactly what an earlier one says ({}; data.fix=drop_duplicates leaves such rows out)",
            lines_of(twice)
        );
        say(Subject::Duplicates, sentence);
    }
    for finding in &report.findings {
        let rows = RowList { count: finding.count, rows: finding.rows.iter().map(|row| row.line).collect() };
        let fix = finding.fix.map(|fix| format!("; data.fix={}", fix.name())).unwrap_or_default();
        say(Subject::Finding, format!("{} ({}{fix})", finding.sentence, lines_of(&rows)));
    }
    recipe.unused_settings().into_iter().for_each(|unused| say(Subject::Settings, unused));
    say_held_out(recipe, train, held_out).into_iter().for_each(|sentence| say(Subject::HeldOut, sentence));
    statements
}

/// Why no row is held out, where none is.
fn say_held_out(recipe: &Recipe, train: usize, held_out: usize) -> Option<String> {
    let asks_a_person = recipe.objective == Objective::Grpo && recipe.grpo.asks_a_person();
    if held_out > 0 || asks_a_person {
        return None;
    }
    let why = match train {
        _ if recipe.eval.validation_fraction <= 0.0 => "eval.validation_fraction is 0",
        1 => "there is only one to train on",
        _ => "all of them are the same",
    };
    Some(format!(
        "no row is held out, since {why}: whether the model learns more than these rows by heart is not measured"
    ))
}
