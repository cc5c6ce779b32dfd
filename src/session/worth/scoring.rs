//! Rows that are no questions: base and tuned model score them, as a validation does.

use crate::data::{BatchOptions, Example};
use crate::error::{Error, Result};
use crate::eval::worth::{Lead, Scores, Way, WayWorth, Worth, WorthFigure, mean, sentence};
use crate::metrics::{Better, Evaluation, Rank, Unit};
use crate::objectives::Loss;
use crate::recipe::{Objective, Recipe};
use crate::session::Session;
use web_time::Instant;

impl Session {
    /// Texts without a prompt: how likely each is.
    pub(super) async fn worth_of_texts(
        &self,
        recipe: &Recipe,
        texts: &[Example],
        mut go_on: impl AsyncFnMut(usize, usize) -> Result<bool>,
    ) -> Result<Worth> {
        let model = self.model()?;
        let recipe = Recipe { objective: Objective::Text, ..recipe.clone() };
        let loss = Loss::new(&recipe, &model.base);
        let options = BatchOptions {
            batch_size: 1,
            max_seq_length: recipe.train.max_seq_length,
            packing: false,
            pad_token_id: model.tokenizer.pad_token_id(),
        };
        let ways = self.two_ways();
        let mut models = Vec::new();
        for &way in &ways {
            models.push(if way == Way::Tuned { self.tuned()? } else { model.base.clone() });
        }
        let mut losses = vec![Vec::new(); ways.len()];
        let mut seconds = vec![Vec::new(); ways.len()];
        let mut tokens = Vec::new();
        let total = texts.len() * ways.len();
        let mut stopped = false;
        'texts: for (place, text) in texts.iter().enumerate() {
            let mut found = Vec::new();
            for (at, model) in models.iter().enumerate() {
                if !go_on(place * ways.len() + at, total).await? {
                    stopped = true;
                    break 'texts;
                }
                let started = Instant::now();
                let evaluation =
                    crate::eval::loss(model, std::slice::from_ref(text), &options, &loss).await?;
                found.push((evaluation.loss, started.elapsed().as_secs_f64()));
            }
            for (at, (loss, took)) in found.into_iter().enumerate() {
                losses[at].push(loss);
                seconds[at].push(took);
            }
            tokens.push(text.input_ids.len() as f64);
        }
        if tokens.is_empty() {
            return Err(Error::Stopped);
        }
        let figure = |value| WorthFigure {
            name: "loss per token".into(),
            value,
            better: Better::Lower,
            unit: Unit::Number,
        };
        let measured = ways.iter().zip(&losses).zip(&seconds).map(|((&way, losses), seconds)| WayWorth {
            way,
            figures: vec![figure(mean(losses))],
            prompt_tokens: mean(&tokens),
            seconds: mean(seconds),
        });
        let lead = Lead {
            phrase: "comes to a loss of {} a token".into(),
            unit: Unit::Number,
            better: Better::Lower,
            scores: ways.iter().copied().zip(losses.iter().cloned().map(Scores::Rows)).collect(),
            losses: Vec::new(),
            prompt_tokens: Vec::new(),
            examples: 0,
            same: None,
        };
        Ok(Worth {
            rows: tokens.len(),
            held_out: tokens.len(),
            examples: 0,
            stopped,
            ways: measured.collect(),
            answers: Vec::new(),
            sentence: sentence(&lead),
            notes: vec![
                "texts without a prompt are not asked: how likely each model finds them is compared".into(),
            ],
        })
    }

    /// All held-out rows at once, as the objective scores them.
    pub(super) async fn worth_by_score(
        &self,
        recipe: &Recipe,
        mut go_on: impl AsyncFnMut(usize, usize) -> Result<bool>,
    ) -> Result<Worth> {
        let mut recipe = recipe.clone();
        recipe.eval.probe = false;
        let ways = self.two_ways();
        let (mut measured, mut scores, mut rows) = (Vec::new(), Vec::new(), 0);
        for (done, &way) in ways.iter().enumerate() {
            if !go_on(done, ways.len()).await? {
                return Err(Error::Stopped);
            }
            let started = Instant::now();
            let evaluation = self.score_held_out(&recipe, way == Way::Tuned).await?;
            rows = evaluation.examples;
            let count = rows.max(1) as f64;
            let figures = figures(&evaluation);
            scores.push((way, Scores::Whole { value: figures[0].value, rows }));
            measured.push(WayWorth {
                way,
                figures,
                prompt_tokens: evaluation.tokens as f64 / count,
                seconds: started.elapsed().as_secs_f64() / count,
            });
        }
        let WorthFigure { name, better, unit, .. } = measured[0].figures[0].clone();
        let lead = Lead {
            phrase: format!("reaches {{}} in {name}"),
            unit,
            better,
            scores,
            losses: Vec::new(),
            prompt_tokens: Vec::new(),
            examples: 0,
            same: None,
        };
        let mut notes =
            vec!["a model that judges or compares whole texts takes no examples in its prompt".to_string()];
        if recipe.objective.has_score_head() && self.model()?.base.score().is_none() {
            notes.push(
                "the base has no head of its own for this: its figures are those of an untrained one".into(),
            );
        }
        let sentence = sentence(&lead);
        Ok(Worth {
            rows,
            held_out: rows,
            examples: 0,
            stopped: false,
            ways: measured,
            answers: Vec::new(),
            sentence,
            notes,
        })
    }

    fn two_ways(&self) -> Vec<Way> {
        if self.has_tuned() { vec![Way::Base, Way::Tuned] } else { vec![Way::Base] }
    }
}

/// What the objective measures, and its loss.
fn figures(evaluation: &Evaluation) -> Vec<WorthFigure> {
    let rows = evaluation.metrics.rows().into_iter();
    let rows = rows.filter(|row| row.rank <= Rank::Summary && row.better != Better::Neither);
    let own = rows.map(|row| WorthFigure {
        name: row.name.into(),
        value: row.value,
        better: row.better,
        unit: row.unit,
    });
    let loss = WorthFigure {
        name: "loss".into(),
        value: evaluation.loss,
        better: Better::Lower,
        unit: Unit::Number,
    };
    own.chain([loss]).collect()
}
