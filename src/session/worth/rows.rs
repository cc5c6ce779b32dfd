//! Which rows are asked, and which are shown as examples.

use crate::data::{Question, RowContent, held_out, question};
use crate::error::{Error, Result};
use crate::recipe::{Objective, Recipe};
use crate::session::Session;
use std::collections::BTreeMap;

/// A prompt with its answer in tokens, at most: what a prompt with examples computes then is little beside a model.
const LONGEST: usize = 2048;

/// Places in the open data.
pub struct Split {
    /// Rows no part of which is trained.
    pub held_out: Vec<usize>,
    /// Rows no part of which is held out.
    pub training: Vec<usize>,
}

/// The questions of the rows that are asked.
pub struct Questions {
    /// Places in the open data.
    pub rows: Vec<usize>,
    pub plain: Vec<Question>,
    /// The same with examples before them; empty without examples.
    pub with_examples: Vec<Question>,
    pub examples: usize,
}

impl Session {
    /// The two sides of the run's split; before a run, those of one with this recipe.
    ///
    /// # Errors
    /// Open data that is not what the run learned from.
    pub(super) fn split_rows(&self, recipe: &Recipe) -> Result<Split> {
        let asks_a_person = recipe.objective == Objective::Grpo && recipe.grpo.asks_a_person();
        let fraction = if asks_a_person { 0.0 } else { recipe.eval.validation_fraction };
        let examples = self.examples(recipe)?;
        let is_held_out = held_out(&examples, fraction, recipe.train.seed);
        if let Some(trainer) = &self.trainer {
            let side = |held_out: bool| {
                let examples = examples.iter().zip(&is_held_out).filter(move |(_, is)| **is == held_out);
                examples.map(|(example, _)| &example.input_ids)
            };
            // General text that is mixed in comes after the rows.
            let trained = trainer.train.iter().map(|example| &example.input_ids);
            let count = side(false).count();
            let is_same = side(true).eq(trainer.validation.iter().map(|example| &example.input_ids))
                && side(false).eq(trained.take(count));
            if !is_same {
                return Err(Error::Training {
                    reason: "the open data is not what the run learned from, so that it cannot be told which rows are new to it; \
                             open the run's data again, or train on this"
                        .into(),
                });
            }
        }
        let mut sides: BTreeMap<usize, (bool, bool)> = BTreeMap::new();
        for (example, is_held_out) in examples.iter().zip(is_held_out) {
            let (held_out, trained) = sides.entry(example.row).or_default();
            *held_out |= is_held_out;
            *trained |= !is_held_out;
        }
        let of = |wanted: (bool, bool)| {
            let rows = sides.iter().filter(|(_, sides)| **sides == wanted);
            rows.map(|(row, _)| *row).collect()
        };
        Ok(Split { held_out: of((true, false)), training: of((false, true)) })
    }

    /// Those of the rows that can be asked.
    pub(super) fn questions_of(&self, rows: &[usize]) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for &row in rows {
            if self.question(row, &[])?.is_some() {
                found.push(row);
            }
        }
        Ok(found)
    }

    fn question(&self, row: usize, examples: &[usize]) -> Result<Option<Question>> {
        let (model, rows) = (self.model()?, &self.dataset()?.rows);
        let longest = model.base.max_position_embeddings().min(LONGEST);
        let examples: Vec<&RowContent> = examples.iter().map(|&row| &rows[row].content).collect();
        question(&rows[row].content, &examples, &model.tokenizer, longest)
    }
}

/// The rows as they are, and with as many examples of `pool` before them, up to `most`, as fit before each of them.
pub fn questions(session: &Session, rows: &[usize], pool: &[usize], most: usize) -> Result<Questions> {
    let all = |examples: &[usize]| -> Result<Option<Vec<Question>>> {
        rows.iter().map(|&row| session.question(row, examples)).collect()
    };
    let plain = all(&[])?.expect("these rows can be asked");
    let mut pool = pool.to_vec();
    let has_answer = |row: &usize| -> Result<bool> {
        Ok(session.question(*row, &[])?.is_some_and(|question| question.answered.is_some()))
    };
    let answered: Vec<bool> = pool.iter().map(has_answer).collect::<Result<_>>()?;
    let mut is_answered = answered.iter();
    pool.retain(|_| *is_answered.next().expect("one a row"));
    for examples in (1..=most.min(pool.len())).rev() {
        if let Some(with_examples) = all(&evenly(&pool, examples))? {
            return Ok(Questions { rows: rows.to_vec(), plain, with_examples, examples });
        }
    }
    Ok(Questions { rows: rows.to_vec(), plain, with_examples: Vec::new(), examples: 0 })
}

/// At most so many of some rows, spread over all of them.
pub fn evenly(rows: &[usize], most: usize) -> Vec<usize> {
    let count = most.min(rows.len());
    (0..count).map(|place| rows[(2 * place + 1) * rows.len() / (2 * count)]).collect()
}
