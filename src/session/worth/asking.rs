//! The questions asked in every way, row by row.

use super::rows::Questions;
use crate::data::{BatchOptions, Example, Question, Task};
use crate::error::{Error, Result};
use crate::eval::overlap::{same_words, word_overlap};
use crate::eval::worth::{AskedRow, Lead, Scores, Way, WayWorth, Worth, WorthFigure, mean, sentence};
use crate::generate::{Answer, Sampling, StopReason, generate};
use crate::metrics::{Better, Unit};
use crate::models::Model;
use crate::objectives::Loss;
use crate::recipe::{Objective, Recipe};
use crate::rewards::Reward;
use crate::session::Session;

/// An answer has at most so many tokens, and twice those of the longest of the rows' own.
const LONGEST_ANSWER: usize = 256;

/// What it takes to ask.
pub struct Asking<'a> {
    session: &'a Session,
    questions: Questions,
    ways: Vec<(Way, Model)>,
    /// The loss of the rows' own answers.
    loss: Loss,
    /// What an answer earns, in place of how much it is like the row's own.
    reward: Option<Reward>,
    prefers: bool,
    most_tokens: usize,
}

/// What came of a row in one way.
struct Outcome {
    answer: Answer,
    /// The loss of the row's own answer, a token.
    loss: Option<f64>,
    /// What the ways are compared by.
    score: f64,
    overlap: Option<f64>,
    same: Option<f64>,
}

impl<'a> Asking<'a> {
    pub fn new(session: &'a Session, recipe: &Recipe, questions: Questions) -> Result<Asking<'a>> {
        let base = &session.model()?.base;
        let mut ways = vec![(Way::Base, base.clone())];
        if questions.examples > 0 {
            ways.push((Way::Examples, base.clone()));
        }
        if session.has_tuned() {
            ways.push((Way::Tuned, session.tuned()?));
        }
        let answered = || questions.plain.iter().filter_map(|question| question.answered.as_ref());
        let longest = answered().map(Example::trained_tokens).max();
        let most_tokens = match longest {
            Some(longest) => (2 * longest + 16).min(LONGEST_ANSWER),
            None => recipe.grpo.max_completion_length.min(LONGEST_ANSWER),
        };
        let reward = (recipe.objective == Objective::Grpo).then(|| session.reward_for(recipe)).transpose()?;
        let prefers = questions.plain.iter().all(|question| question.rejected.is_some());
        let loss = Loss::new(&Recipe { objective: Objective::Sft, ..recipe.clone() }, base);
        Ok(Asking { session, questions, ways, loss, reward, prefers, most_tokens })
    }

    /// # Errors
    /// [`Error::Stopped`] where `go_on` says no before the first row is done.
    pub async fn ask(self, mut go_on: impl AsyncFnMut(usize, usize) -> Result<bool>) -> Result<Worth> {
        let total = self.questions.rows.len() * self.ways.len();
        // What a device prepares at its first answers is nobody's time.
        for (way, model) in &self.ways {
            let question = self.question(*way, 0);
            self.answer(model, question, 2, async || go_on(0, total).await).await?;
        }
        let mut outcomes: Vec<Vec<Outcome>> = Vec::new();
        let mut stopped = false;
        'rows: for row in 0..self.questions.rows.len() {
            let mut found = Vec::new();
            for (place, (way, model)) in self.ways.iter().enumerate() {
                let done = row * self.ways.len() + place;
                let go_on = async || go_on(done, total).await;
                match self.outcome(model, self.question(*way, row), go_on).await? {
                    Some(outcome) => found.push(outcome),
                    None => {
                        stopped = true;
                        break 'rows;
                    }
                }
            }
            outcomes.push(found);
        }
        if outcomes.is_empty() {
            return Err(Error::Stopped);
        }
        self.worth(&outcomes, stopped)
    }

    fn question(&self, way: Way, row: usize) -> &Question {
        match way {
            Way::Examples => &self.questions.with_examples[row],
            Way::Base | Way::Tuned => &self.questions.plain[row],
        }
    }

    /// The likeliest answer; `None` where it was stopped.
    async fn answer(
        &self,
        model: &Model,
        question: &Question,
        most_tokens: usize,
        mut go_on: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<Option<Answer>> {
        let open = self.session.model()?;
        let (decoder, prompt) = (model.decoder()?, &question.prompt);
        let on_text = async |_: &str| go_on().await;
        let answer = generate(
            decoder,
            &open.tokenizer,
            prompt,
            &open.end_ids,
            most_tokens,
            Sampling::default(),
            on_text,
        );
        Ok(Some(answer.await?).filter(|answer| answer.stopped != StopReason::Caller))
    }

    async fn outcome(
        &self,
        model: &Model,
        question: &Question,
        mut go_on: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<Option<Outcome>> {
        let Some(answer) = self.answer(model, question, self.most_tokens, &mut go_on).await? else {
            return Ok(None);
        };
        let own = match &question.answered {
            Some(example) => Some(self.loss_of(model, example).await?),
            None => None,
        };
        let other = match &question.rejected {
            Some(example) if self.prefers => Some(self.loss_of(model, example).await?),
            _ => None,
        };
        if !go_on().await? {
            return Ok(None);
        }
        let expected = question.task.answer.as_deref();
        let overlap = expected.map(|expected| word_overlap(&answer.text, expected));
        let same = expected.map(|expected| f64::from(u8::from(same_words(&answer.text, expected))));
        let score = match (&self.reward, own.zip(other)) {
            (Some(reward), _) => self.earned(reward, &question.task, &answer.text).await?,
            (None, Some(((own, own_tokens), (other, other_tokens)))) => {
                f64::from(u8::from(own * own_tokens < other * other_tokens))
            }
            (None, None) => overlap.unwrap_or(0.0),
        };
        Ok(Some(Outcome { answer, loss: own.map(|(loss, _)| loss), score, overlap, same }))
    }

    async fn earned(&self, reward: &Reward, task: &Task, answer: &str) -> Result<f64> {
        let rewards = reward.of(task, &[answer.to_string()], &self.session.model()?.tokenizer).await?;
        Ok(rewards.first().copied().unwrap_or(0.0))
    }

    /// The loss of an answer, a token, and how many tokens it has.
    async fn loss_of(&self, model: &Model, example: &Example) -> Result<(f64, f64)> {
        let options = BatchOptions {
            batch_size: 1,
            max_seq_length: example.input_ids.len(),
            packing: false,
            pad_token_id: self.session.model()?.tokenizer.pad_token_id(),
        };
        let found = crate::eval::loss(model, std::slice::from_ref(example), &options, &self.loss).await?;
        Ok((found.loss, found.tokens as f64))
    }

    fn worth(&self, outcomes: &[Vec<Outcome>], stopped: bool) -> Result<Worth> {
        let column = |place: usize, value: &dyn Fn(&Outcome) -> Option<f64>| -> Option<Vec<f64>> {
            outcomes.iter().map(|row| value(&row[place])).collect()
        };
        let tokens = |place: usize| {
            mean(&column(place, &|outcome| Some(outcome.answer.prompt_tokens as f64)).unwrap_or_default())
        };
        let (phrase, name, unit) = match (&self.reward, self.prefers) {
            (Some(_), _) => ("earns {} an answer", "reward", Unit::Number),
            (None, true) => (
                "finds the better answer likelier in {} of the rows",
                "better answer is likelier",
                Unit::Share,
            ),
            (None, false) => {
                ("agrees with the rows' answers in {} of the words", "words as in the row", Unit::Share)
            }
        };
        let mut ways = Vec::new();
        let (mut scores, mut losses, mut prompt_tokens) = (Vec::new(), Vec::new(), Vec::new());
        for (place, &(way, _)) in self.ways.iter().enumerate() {
            let rows = column(place, &|outcome| Some(outcome.score)).unwrap_or_default();
            let mut figures = Vec::new();
            let mut figure = |name: &str, values: Option<Vec<f64>>, better, unit| {
                let value = values.map(|values| mean(&values));
                figures.extend(value.map(|value| WorthFigure { name: name.into(), value, better, unit }));
            };
            let loss = column(place, &|outcome| outcome.loss);
            figure(name, Some(rows.clone()), Better::Higher, unit);
            if self.reward.is_none() && !self.prefers {
                figure("same answer", column(place, &|outcome| outcome.same), Better::Higher, Unit::Share);
            } else {
                let overlap = column(place, &|outcome| outcome.overlap);
                figure("words as in the row", overlap, Better::Higher, Unit::Share);
            }
            figure("loss per answer token", loss.clone(), Better::Lower, Unit::Number);
            // What an answer earns is no matter of how likely the row's own is.
            losses.extend(loss.filter(|_| self.reward.is_none()).map(|loss| (way, loss)));
            scores.push((way, Scores::Rows(rows)));
            prompt_tokens.push((way, tokens(place)));
            let seconds = column(place, &|outcome| Some(outcome.answer.seconds)).unwrap_or_default();
            ways.push(WayWorth { way, figures, prompt_tokens: tokens(place), seconds: mean(&seconds) });
        }
        let is_compared = self.reward.is_none() && !self.prefers;
        let tuned = self.ways.iter().position(|(way, _)| *way == Way::Tuned).filter(|_| is_compared);
        let same = tuned.and_then(|tuned| column(tuned, &|outcome| outcome.same));
        let same = same.map(|same| same.iter().filter(|&&same| same == 1.0).count());
        let examples = self.questions.examples;
        let lead = Lead {
            phrase: phrase.into(),
            unit,
            better: Better::Higher,
            scores,
            losses,
            prompt_tokens,
            examples,
            same,
        };
        let rows = &self.session.dataset()?.rows;
        let asked = outcomes.iter().enumerate().map(|(place, outcomes)| {
            let task = &self.questions.plain[place].task;
            AskedRow {
                line: rows[self.questions.rows[place]].line,
                question: task.prompt.last().map_or(String::new(), |message| message.content.clone()),
                answer: task.answer.clone(),
                given: outcomes.iter().map(|outcome| outcome.answer.text.clone()).collect(),
            }
        });
        Ok(Worth {
            rows: outcomes.len(),
            held_out: outcomes.len(),
            examples,
            stopped,
            ways,
            answers: asked.collect(),
            sentence: sentence(&lead),
            notes: self.cut(outcomes).into_iter().collect(),
        })
    }

    /// What to say of answers that were longer.
    fn cut(&self, outcomes: &[Vec<Outcome>]) -> Option<String> {
        let is_cut = |outcome: &&Outcome| outcome.answer.stopped == StopReason::Length;
        let cut = outcomes.iter().flatten().filter(is_cut).count();
        let all = outcomes.len() * self.ways.len();
        (cut > 0).then(|| format!("{cut} of {all} answers are cut at {} tokens", self.most_tokens))
    }
}
