//! LoRA's parameters and their first values (<https://arxiv.org/abs/2106.09685>).

use super::trainable::{Leaf, Parameter};
use crate::models::Model;
use crate::models::layers::linear::{Dropout, Linear, LoraPath};
use crate::recipe::LoraRecipe;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The parameters of an adapter, two a targeted module in checkpoint order:
/// `<path>.lora_A.weight` `[rank, in]` and `<path>.lora_B.weight` `[out, rank]`.
pub fn parameters(base: &Model, recipe: &LoraRecipe) -> Vec<Parameter> {
    let mut base = base.clone();
    let mut parameters = Vec::new();
    let mut offset = 0;
    for (path, linear) in targets(&mut base, recipe) {
        let [out, input] = linear.dims();
        for (part, shape) in [("lora_A", vec![recipe.rank, input]), ("lora_B", vec![out, recipe.rank])] {
            let parameter = Parameter { name: format!("{path}.{part}.weight"), shape, offset };
            offset += parameter.len();
            parameters.push(parameter);
        }
    }
    parameters
}

/// Whether a parameter of this name is half of a low-rank pair.
pub fn is_part(name: &str) -> bool {
    name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight")
}

/// What the learning rate of each value is multiplied with: LoRA+'s ratio for B and for vectors, 1 for the rest
/// (<https://arxiv.org/abs/2402.12354>).
pub fn learning_rate_factors(parameters: &[Parameter], ratio: f64) -> Vec<f32> {
    let of = |parameter: &Parameter| {
        let faster = parameter.name.ends_with(".lora_B.weight") || parameter.shape.len() == 1;
        std::iter::repeat_n(if faster { ratio as f32 } else { 1.0 }, parameter.len())
    };
    parameters.iter().flat_map(of).collect()
}

/// First values: A uniform in ±1/√in (Kaiming with a = √5, as PEFT), B zero.
pub fn initial_values(parameters: &[Parameter], seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::new();
    for parameter in parameters {
        if parameter.name.ends_with("lora_A.weight") {
            let bound = 1.0 / (parameter.shape[1] as f32).sqrt();
            values.extend((0..parameter.len()).map(|_| random.random_range(-bound..bound)));
        } else {
            values.extend(std::iter::repeat_n(0.0, parameter.len()));
        }
    }
    values
}

/// Puts the low-rank paths in place, a pair of leaves each; `dropout_seed` is `None` outside training.
pub fn attach(model: &mut Model, recipe: &LoraRecipe, leaves: &[Leaf], dropout_seed: Option<u64>) {
    for (i, ((_, linear), pair)) in targets(model, recipe).into_iter().zip(leaves.chunks_exact(2)).enumerate()
    {
        let [Leaf::Matrix(lora_a), Leaf::Matrix(lora_b)] = pair else {
            unreachable!("an adapter's parameters are matrices, two a module")
        };
        linear.lora = Some(LoraPath {
            lora_a: lora_a.clone(),
            lora_b: lora_b.clone(),
            scale: recipe.scale(),
            magnitude: None,
            dropout: dropout_seed
                .filter(|_| recipe.dropout > 0.0)
                .map(|seed| Dropout { share: recipe.dropout, seed: seed.wrapping_add(i as u64) }),
        });
    }
}

pub(super) fn targets<'a>(model: &'a mut Model, recipe: &LoraRecipe) -> Vec<(String, &'a mut Linear)> {
    let mut linears = model.linears_mut();
    // As in PEFT, whole parts of the path: "output.dense" is not the end of "my_output.dense".
    let is_named =
        |path: &str, module: &str| path.strip_suffix(module).is_some_and(|rest| rest.ends_with('.'));
    linears.retain(|(path, _)| recipe.target_modules.iter().any(|module| is_named(path, module)));
    linears
}
