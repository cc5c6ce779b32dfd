//! The person at the page, who rates sampled answers.

use super::to_js;
use crate::data::Message;
use crate::error::{Error, Result};
use crate::rewards::person::Rater;
use js_sys::{Array, Function, Promise};
use std::pin::Pin;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// `rate(messages, answers)` gives a promise of a number an answer, which is rejected when nobody rates any more.
pub struct Listener(pub Function);

impl Rater for Listener {
    fn rate<'a>(
        &'a self,
        prompt: &'a [Message],
        answers: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<f64>>> + 'a>> {
        Box::pin(async move {
            let unrated = |_: JsValue| Error::Training {
                reason: "nobody rated the answers; start again, or choose another reward".into(),
            };
            let (prompt, answers) = (to_js(&prompt).map_err(unrated)?, to_js(&answers).map_err(unrated)?);
            let asked = self.0.call2(&JsValue::NULL, &prompt, &answers).map_err(unrated)?;
            let ratings = JsFuture::from(Promise::resolve(&asked)).await.map_err(unrated)?;
            let ratings: Array = ratings.dyn_into().map_err(unrated)?;
            Ok(ratings.iter().map(|rating| rating.as_f64().unwrap_or(f64::NAN)).collect())
        })
    }
}
