//! LoRA's parameters and their first values (<https://arxiv.org/abs/2106.09685>).

use super::target::{Target, layers};
use super::trainable::{Leaf, Parameter};
use crate::models::Model;
use crate::models::layers::linear::{Dropout, Linear, LoraPath};
use crate::recipe::LoraRecipe;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The parameters of an adapter, two a targeted module in checkpoint order:
/// `<path>.lora_A.weight` `[rank, in]` and `<path>.lora_B.weight` `[out, rank]`.
pub fn parameters(base: &Model, targets: &[Target]) -> Vec<Parameter> {
    let mut base = base.clone();
    let mut parameters = Vec::new();
    let mut offset = 0;
    for (Target { path, rank, .. }, linear) in layers(&mut base, targets) {
        let [out, input] = linear.dims();
        for (part, shape) in [("lora_A", vec![*rank, input]), ("lora_B", vec![out, *rank])] {
            let parameter = Parameter { name: format!("{path}.{part}.weight"), shape, offset };
            offset += parameter.len();
            parameters.push(parameter);
        }
    }
    parameters
}

/// Which of the parameters belong to layers that are computed together, and so are one leaf: ranges of them, in order.
pub fn groups(base: &Model, targets: &[Target]) -> Vec<Range<usize>> {
    let (mut base, mut targets, mut end) = (base.clone(), targets.iter().peekable(), 0);
    let mut of_group = |linears: Vec<&mut Linear>| {
        let start = end;
        for linear in linears {
            end += if targets.next_if(|target| *target.path == *linear.path).is_some() { 2 } else { 0 };
        }
        start..end
    };
    let groups = base.linear_groups_mut().into_iter().map(&mut of_group);
    groups.filter(|group| !group.is_empty()).collect()
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

/// Puts the low-rank paths in place; `leaves` are one a group, `dropout_seed` is `None` outside training.
pub fn attach(
    model: &mut Model,
    recipe: &LoraRecipe,
    targets: &[Target],
    parameters: &[Parameter],
    groups: &[Range<usize>],
    leaves: &[Leaf],
    dropout_seed: Option<u64>,
) {
    let mut layers = layers(model, targets).into_iter().enumerate();
    for (group, leaf) in groups.iter().zip(leaves) {
        let Leaf::Vector(values) = leaf else { unreachable!("the values of a group are a vector") };
        for pair in parameters[group.clone()].chunks_exact(2) {
            let (i, (target, linear)) = layers.next().expect("a layer for each pair");
            linear.lora = Some(LoraPath {
                values: values.clone(),
                start: pair[0].offset - parameters[group.start].offset,
                rank: target.rank,
                scale: recipe.scale(target.rank, target.alpha),
                magnitude: None,
                dropout: dropout_seed
                    .filter(|_| recipe.dropout > 0.0)
                    .map(|seed| Dropout { share: recipe.dropout, seed: seed.wrapping_add(i as u64) }),
            });
        }
    }
}
