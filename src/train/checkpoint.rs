//! A run on disk: parameters, optimizer, position. One safetensors file whose header
//! carries the recipe, so that a checkpoint alone says what it belongs to.

use super::early_stopping::{Best, BestEvaluation};
use super::rollout::Group;
use super::trainer::Trainer;
use crate::data::encode::{Contrast, Example, Preference};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::float_tensor;
use crate::recipe::Recipe;
use crate::weights::safetensors;
use crate::weights::source::BytesSource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The checkpoint's header.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    pub recipe: Recipe,
    pub done: usize,
    pub optimizer_updates: usize,
    /// Digest of the encoded rows: resuming on other data would not be the same run.
    pub data_digest: String,
    /// The date that the chat template prints, from the plan.
    #[serde(default)]
    pub date: Option<String>,
    /// Digest of the base's weights; empty in a checkpoint of an earlier version.
    #[serde(default)]
    pub base_digest: String,
    /// With early stopping, once there was an evaluation.
    #[serde(default)]
    pub best: Option<BestEvaluation>,
    /// With `grpo.num_iterations` above 1: answers that are still to be learned from.
    #[serde(default)]
    pub groups: Option<Vec<Group>>,
}

const KEY: &str = "loralet";

/// # Errors
/// A device that stops answering.
pub async fn save(trainer: &Trainer) -> Result<Vec<u8>> {
    let header = Header {
        recipe: trainer.plan.recipe.clone(),
        done: trainer.done,
        optimizer_updates: trainer.optimizer.updates,
        data_digest: digest(trainer),
        date: trainer.plan.date.clone(),
        base_digest: trainer.base_digest.clone(),
        best: trainer.best.as_ref().map(|best| best.record.clone()),
        groups: trainer.groups.clone().filter(|_| trainer.plan.recipe.iterations() > 1),
    };
    let header = serde_json::to_string(&header).expect("a header is plain JSON");
    let total = trainer.trainable.len();
    let tensors = [
        ("values", &trainer.trainable.values),
        ("first_moment", &trainer.optimizer.first_moment),
        ("second_moment", &trainer.optimizer.second_moment),
    ];
    let best = trainer.best.as_ref().map(|best| ("best_values", &best.values));
    let mut parts = Vec::new();
    for (name, tensor) in tensors.into_iter().chain(best) {
        parts.push((name.to_string(), vec![total], read(tensor.clone()).await?));
    }
    safetensors::serialize(&parts, &[(KEY, header.as_str())])
}

/// Reads only the header.
///
/// # Errors
/// A file that is not a checkpoint.
pub fn header(bytes: &[u8]) -> Result<Header> {
    let invalid = |reason: &str| Error::InvalidCheckpoint { reason: reason.into() };
    let file = safetensors::Header::read(&BytesSource { name: "checkpoint", bytes }, KEY).map_err(|_| {
        invalid("the file is not a Loralet checkpoint, or it is cut short; choose another file")
    })?;
    let text =
        file.text.ok_or_else(|| invalid("the file has no run header; it was not written by Loralet"))?;
    let unreadable =
        |_| invalid("the run header cannot be read; it was written by another version of Loralet");
    let header: Value = serde_json::from_str(&text).map_err(unreadable)?;
    // As a recipe that a person writes, it may have settings that are out of range.
    let recipe = Recipe::from_json(&header["recipe"]).map_err(|error| Error::InvalidCheckpoint {
        reason: format!("its {error}; the file is damaged, or another version of Loralet wrote it"),
    })?;
    Ok(Header { recipe, ..serde_json::from_value(header).map_err(unreadable)? })
}

/// Puts a saved state into a trainer made from the same recipe, model and data.
///
/// # Errors
/// A checkpoint of another model, recipe or data set; the trainer is then unchanged.
pub fn restore(trainer: &mut Trainer, bytes: &[u8]) -> Result<()> {
    let header = header(bytes)?;
    if !header.base_digest.is_empty() && header.base_digest != trainer.base_digest {
        return Err(Error::InvalidCheckpoint {
            reason: "it was trained on another model than the one that is open, whose weights differ; open that model to resume"
                .into(),
        });
    }
    if header.data_digest != digest(trainer) {
        return Err(Error::InvalidCheckpoint {
            reason: "it was trained on other data than the file that is open; open that data file to resume"
                .into(),
        });
    }
    let total = trainer.trainable.len();
    let mut parts = Vec::new();
    for (name, shape, values) in safetensors::deserialize_f32("checkpoint", bytes)? {
        if shape != [total] {
            return Err(Error::InvalidCheckpoint {
                reason: format!(
                    "its tensor \"{name}\" holds {shape:?} numbers where this model and recipe have {total}; open the \
                     model it was trained on"
                ),
            });
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::InvalidCheckpoint {
                reason: format!(
                    "its tensor \"{name}\" holds a value that is not finite; resume from an earlier checkpoint"
                ),
            });
        }
        parts.push((name, values));
    }
    let mut take = |name: &str| -> Result<Vec<f32>> {
        let place = parts.iter().position(|(part, _)| part == name);
        let place =
            place.ok_or_else(|| Error::InvalidCheckpoint { reason: format!("it lacks \"{name}\"") })?;
        Ok(parts.swap_remove(place).1)
    };
    let (values, first, second) = (take("values")?, take("first_moment")?, take("second_moment")?);
    let best = header.best.map(|record| Ok((record, take("best_values")?))).transpose()?;
    let device = trainer.base.device();
    trainer.best =
        best.map(|(record, values)| Best { record, values: float_tensor(values, [total], &device) });
    trainer.trainable.values = float_tensor(values, [total], &device);
    trainer.optimizer.first_moment = float_tensor(first, [total], &device);
    trainer.optimizer.second_moment = float_tensor(second, [total], &device);
    trainer.optimizer.updates = header.optimizer_updates;
    trainer.done = header.done;
    trainer.groups = header.groups;
    Ok(())
}

/// FNV-1a over the rows' token ids, masks and labels.
fn digest(trainer: &Trainer) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |value: u32| hash = (hash ^ value as u64).wrapping_mul(0x0100_0000_01b3);
    let rows: [&[Example]; 2] = [&trainer.train, &trainer.validation];
    for example in rows.into_iter().flatten() {
        eat(u32::MAX);
        let mut eat_all = |ids: &[u32], loss_mask: &[bool]| {
            ids.iter().zip(loss_mask).for_each(|(&id, &mask)| eat(id * 2 + mask as u32));
        };
        eat_all(&example.input_ids, &example.loss_mask);
        if let Some(class) = example.class {
            eat_all(&[class], &[false]);
        }
        if let Some(contrast) = &example.contrast {
            let texts = [contrast.other()].into_iter().chain(contrast.negative());
            texts.for_each(|ids| eat_all(ids, &vec![false; ids.len()]));
            if let Contrast::Scored { score, .. } = contrast {
                eat_all(&[score.to_bits() >> 1], &[false]);
            }
        }
        if let Some(answer) = example.task.as_ref().and_then(|task| task.answer.as_ref()) {
            let bytes: Vec<u32> = answer.bytes().map(u32::from).collect();
            eat_all(&bytes, &vec![false; bytes.len()]);
        }
        match &example.preference {
            Some(Preference::Over(rejected)) => eat_all(&rejected.input_ids, &rejected.loss_mask),
            Some(Preference::Label(liked)) => eat(*liked as u32),
            None => {}
        }
    }
    format!("{hash:016x}")
}
