//! Which linear layers have a low-rank path, and how wide and strong each path is.

use crate::error::{Error, Result};
use crate::models::Model;
use crate::models::layers::linear::Linear;
use crate::recipe::{LINEAR_MODULES, LoraRecipe, Recipe};

/// One linear layer with a low-rank path.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// `model.layers.0.self_attn.q_proj`
    pub path: String,
    /// Width of the path.
    pub rank: usize,
    /// The path is scaled by alpha / rank, or alpha / √rank for rsLoRA.
    pub alpha: f64,
}

/// The recipe with the names that this model's layers have: the default, all of a Llama block, means all of an
/// encoder's block too.
///
/// # Errors
/// A name that none of the model's layers has.
pub fn resolve_modules(recipe: &Recipe, model: &Model) -> Result<Recipe> {
    let mut recipe = recipe.clone();
    let modules = model.linear_modules();
    if recipe.lora.target_modules == LINEAR_MODULES {
        recipe.lora.target_modules = modules.iter().map(|module| module.to_string()).collect();
    }
    let lacks = |module: &&String| !modules.contains(&module.as_str());
    if let Some(module) = recipe.lora.target_modules.iter().find(lacks) {
        return Err(Error::InvalidSetting {
            key: "lora.target_modules".into(),
            value: format!("\"{module}\""),
            expected: format!("this model's linear layers are {}", modules.join(", ")),
        });
    }
    let saved = recipe.lora.modules_to_save.iter().find(|module| *module != "score");
    if let (true, Some(module)) = (model.is_encoder(), saved) {
        return Err(Error::InvalidSetting {
            key: "lora.modules_to_save".into(),
            value: format!("\"{module}\""),
            expected: "an encoder has no such module to train whole; leave it out".into(),
        });
    }
    Ok(recipe)
}

/// The layers that a recipe names, in the model's order, all with its rank and alpha.
pub fn targets(base: &Model, recipe: &LoraRecipe) -> Vec<Target> {
    let mut base = base.clone();
    // As in PEFT, whole parts of the path: "output.dense" is not the end of "my_output.dense".
    let is_named = |path: &str, module: &str| {
        path.strip_suffix(module).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let paths = base.linears_mut().into_iter().map(|(path, _)| path);
    paths
        .filter(|path| recipe.target_modules.iter().any(|module| is_named(path, module)))
        .map(|path| Target { path, rank: recipe.rank, alpha: recipe.alpha })
        .collect()
}

/// Each target's layer, in the model's order.
pub(super) fn layers<'a>(model: &'a mut Model, targets: &'a [Target]) -> Vec<(&'a Target, &'a mut Linear)> {
    let mut targets = targets.iter().peekable();
    let linears = model.linears_mut().into_iter();
    linears
        .filter_map(|(path, linear)| Some((targets.next_if(|target| target.path == path)?, linear)))
        .collect()
}
