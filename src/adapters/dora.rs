//! DoRA's magnitudes, one a row of each targeted weight (<https://arxiv.org/abs/2402.09353>).

use super::target::{Target, layers};
use super::trainable::{Leaf, Parameter};
use crate::models::Model;
use crate::models::layers::linear::{Linear, weight_norm};
use crate::recipe::LoraRecipe;
use burn::tensor::Tensor;

const NAME: &str = "lora_magnitude_vector";

/// `<path>.lora_magnitude_vector` `[out]` of each targeted module, from place `offset` of the flat buffer on, and
/// their first values: the norms of the weight's rows. None without `use_dora`.
pub(super) fn parameters(
    base: &Model,
    recipe: &LoraRecipe,
    targets: &[Target],
    mut offset: usize,
) -> (Vec<Parameter>, Vec<Tensor<1>>) {
    let mut base = base.clone();
    let layers = if recipe.use_dora { layers(&mut base, targets) } else { Vec::new() };
    let of_module = |(target, linear): (&Target, &mut Linear)| {
        let parameter =
            Parameter { name: format!("{}.{NAME}", target.path), shape: vec![linear.dims()[0]], offset };
        offset += parameter.len();
        (parameter, weight_norm(&linear.weight.dense(), None))
    };
    layers.into_iter().map(of_module).unzip()
}

/// Whether a parameter of this name is a magnitude.
pub(super) fn is_part(name: &str) -> bool {
    name.ends_with(NAME)
}

/// Gives the low-rank paths, which are in place, their magnitudes.
pub(super) fn attach(model: &mut Model, targets: &[Target], leaves: &[Leaf]) {
    for ((_, linear), leaf) in layers(model, targets).into_iter().zip(leaves) {
        if let (Some(path), Leaf::Vector(magnitude)) = (&mut linear.lora, leaf) {
            path.magnitude = Some(magnitude.clone());
        }
    }
}
