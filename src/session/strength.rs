//! The adapter of a [`Session`] at other strengths than it was trained at.

use super::Session;
use crate::adapters::Trainable;
use crate::error::{Error, Result};
use crate::models::Model;
use std::borrow::Cow;

/// Twice an adapter's effect is as much as anyone has a use for.
const STRONGEST: f64 = 2.0;

impl Session {
    /// What was trained or loaded, at `strength`.
    ///
    /// # Errors
    /// No adapter; a strength out of its range.
    pub(super) fn trainable_at(&self, strength: f64) -> Result<Cow<'_, Trainable>> {
        check(strength)?;
        let trainable = self.trainable()?;
        Ok(match strength == 1.0 {
            true => Cow::Borrowed(trainable),
            false => Cow::Owned(trainable.at_strength(&self.model()?.base, strength)),
        })
    }

    /// The base with that attached.
    pub(super) fn tuned_at(&self, strength: f64) -> Result<Model> {
        Ok(self.trainable_at(strength)?.tuned(&self.model()?.base))
    }

    /// Which model answers; see [`Session::answering`]. Without the adapter its strength means nothing.
    pub(super) fn answering_at(&self, adapter: bool, strength: f64) -> Result<Model> {
        check(strength)?;
        if adapter { self.tuned_at(strength) } else { self.answering(false) }
    }
}

fn check(strength: f64) -> Result<()> {
    match (0.0..=STRONGEST).contains(&strength) {
        true => Ok(()),
        false => Err(Error::InvalidSetting {
            key: "strength".into(),
            value: strength.to_string(),
            expected: "it must be from 0, the base, to 2; 1 is the adapter as it was trained".into(),
        }),
    }
}
