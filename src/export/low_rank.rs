//! What the readers of low-rank pairs share, whose files have one alpha or scale for all and none of PEFT's settings.

use crate::adapters::{Target, Trainable, lora, target};
use crate::error::{Error, Result};
use crate::models::Model;
use crate::recipe::{LoraRecipe, Method, Recipe, TargetModules};

/// An adapter of these layers, which are in the model's order; its values are still to be read. `invalid` makes an error that
/// names the file.
///
/// # Errors
/// No layer at all; a base that trains more than low-rank pairs.
pub(super) fn untrained(
    base: &Model,
    targets: Vec<Target>,
    invalid: &dyn Fn(String) -> Error,
) -> Result<Trainable> {
    let Some(first) = targets.first() else {
        return Err(invalid(
            "it holds no low-rank pair of a layer that this model has; open the base it was trained on"
                .into(),
        ));
    };
    let lora = LoraRecipe { rank: first.rank, alpha: first.alpha, ..LoraRecipe::default() };
    let named = target::names(base, &lora, &targets);
    let lora = LoraRecipe { target_modules: TargetModules::Named(named), ..lora };
    let recipe = Recipe { method: Method::Lora, lora, ..Recipe::default() };
    let trainable = Trainable::with_targets(base, &recipe, targets);
    // What else a base with a head of its own would train whole is not in such a file.
    match trainable.parameters.iter().find(|parameter| !lora::is_part(&parameter.name)) {
        Some(whole) => Err(invalid(format!(
            "it has no place for \"{}\", which this model trains; open a language model",
            whole.name
        ))),
        None => Ok(trainable),
    }
}
