//! Which linear layers have a low-rank path, and how wide and strong each path is.

use crate::error::{Error, Result};
use crate::models::Model;
use crate::models::layers::linear::Linear;
use crate::models::visitor::is_end;
use crate::recipe::{LoraRecipe, Recipe, TargetModules};

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

/// The recipe with the names that this model's layers have, all of them where it says `"all-linear"`.
///
/// # Errors
/// A name that none of the model's layers has.
pub fn resolve_modules(recipe: &Recipe, model: &Model) -> Result<Recipe> {
    let mut recipe = recipe.clone();
    let modules = model.linear_modules();
    let lacks = |module: &&String| !modules.contains(module);
    if let Some(module) = recipe.lora.target_modules.names().iter().find(lacks) {
        return Err(Error::InvalidSetting {
            key: "lora.target_modules".into(),
            value: format!("\"{module}\""),
            expected: format!(
                "this model's linear layers are {}, or \"all-linear\" for all",
                modules.join(", ")
            ),
        });
    }
    if recipe.lora.target_modules == TargetModules::AllLinear {
        recipe.lora.target_modules = TargetModules::Named(modules);
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
    let is_target = |path: &String| match &recipe.target_modules {
        TargetModules::AllLinear => true,
        TargetModules::Named(names) => names.iter().any(|name| is_end(name, path)),
    };
    let paths = base.linear_paths().into_iter();
    paths.filter(is_target).map(|path| Target { path, rank: recipe.rank, alpha: recipe.alpha }).collect()
}

/// The names of some targets as a recipe has them: by their kind where that says it all, else by their paths.
pub fn names(base: &Model, lora: &LoraRecipe, chosen: &[Target]) -> Vec<String> {
    let is_kind = |kind: &String| chosen.iter().any(|target| is_end(kind, &target.path));
    let kinds: Vec<String> = base.linear_modules().into_iter().filter(is_kind).collect();
    let named = LoraRecipe { target_modules: TargetModules::Named(kinds.clone()), ..lora.clone() };
    let paths = |targets: &[Target]| targets.iter().map(|target| target.path.clone()).collect::<Vec<_>>();
    if paths(&targets(base, &named)) == paths(chosen) { kinds } else { paths(chosen) }
}

/// Each target's layer, in the model's order.
pub(super) fn layers<'a>(model: &'a mut Model, targets: &'a [Target]) -> Vec<(&'a Target, &'a mut Linear)> {
    let mut targets = targets.iter().peekable();
    let linears = model.linears_mut().into_iter();
    linears
        .filter_map(|linear| Some((targets.next_if(|target| *target.path == *linear.path)?, linear)))
        .collect()
}
