//! Answers that a person likes, who is asked while the run waits.

use crate::data::Message;
use crate::error::{Error, Result};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;

/// How a person is asked.
pub trait Rater {
    /// How good each of the answers to a prompt is: a number an answer, higher for better.
    ///
    /// # Errors
    /// Nobody rates them any more; the step then changes nothing.
    fn rate<'a>(
        &'a self,
        prompt: &'a [Message],
        answers: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<f64>>> + 'a>>;
}

/// The person who is asked.
#[derive(Clone)]
pub struct Person(Rc<dyn Rater>);

impl Person {
    pub fn new(rater: impl Rater + 'static) -> Person {
        Person(Rc::new(rater))
    }

    /// # Errors
    /// Those of [`Rater::rate`]; ratings that are not a number an answer.
    pub async fn rewards(&self, prompt: &[Message], answers: &[String]) -> Result<Vec<f64>> {
        let ratings = self.0.rate(prompt, answers).await?;
        if ratings.len() != answers.len() || ratings.iter().any(|rating| !rating.is_finite()) {
            return Err(Error::Training {
                reason: format!("{} answers need a rating each, a number; rate them again", answers.len()),
            });
        }
        Ok(ratings)
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person")
    }
}
