//! An adapter at another strength than it was trained at: every weight W of the base becomes `W + strength · (tuned − W)`.

use super::{Trainable, lora};
use crate::models::score::{self, Score};
use crate::models::{Model, float_tensor};
use crate::recipe::Recipe;
use std::borrow::Cow;

impl Trainable {
    /// A copy whose effect on `base` is `strength` times as large: 0 leaves the base as it is, 1 is the adapter as it was
    /// trained. B is multiplied, DoRA's magnitudes and weights that were trained whole move from the base's values; a `score`
    /// head, which the base has no counterpart of, stays.
    pub fn at_strength(&self, base: &Model, strength: f64) -> Trainable {
        if strength == 1.0 {
            return self.clone();
        }
        let recipe = Recipe { method: self.method, lora: self.lora.clone(), ..Recipe::default() };
        let base = match &self.labels {
            Some(labels) if base.score().is_none() => {
                Cow::Owned(base.with_score(Score::untrained(base, labels.clone(), recipe.train.seed)))
            }
            _ => Cow::Borrowed(base),
        };
        let untrained = Trainable::with_targets(&base, &recipe, self.targets.clone());
        let factor = |name: &str| match name {
            score::WEIGHT => 1.0,
            name if lora::is_part(name) && name.ends_with(".lora_A.weight") => 1.0,
            _ => strength as f32,
        };
        let factors = self.parameters.iter().flat_map(|parameter| {
            std::iter::repeat_n(factor(&parameter.name), parameter.len()).collect::<Vec<f32>>()
        });
        let factors: Vec<f32> = factors.collect();
        let rest = factors.iter().map(|factor| 1.0 - factor).collect();
        let on_device = |values: Vec<f32>| float_tensor(values, [self.len()], &self.values.device());
        let values = self.values.clone() * on_device(factors) + untrained.values * on_device(rest);
        let mut scaled = self.clone();
        scaled.values = values;
        scaled
    }
}
