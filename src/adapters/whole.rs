//! Weights that are trained whole: all of them, the last layer's, or a few beside an adapter.

use super::trainable::{Leaf, Parameter};
use crate::kernels::blocks::Matrix;
use crate::models::score::Score;
use crate::models::{Model, NamedWeight, Place, Weight, score};
use crate::recipe::Method;
use burn::tensor::Tensor;

/// The base's weights that a method trains whole, from place `offset` of the flat buffer on, and their
/// values in the same order, each flat.
pub(super) fn parameters(
    base: &Model,
    method: Method,
    modules_to_save: &[String],
    mut offset: usize,
) -> (Vec<Parameter>, Vec<Tensor<1>>) {
    let saves = |module: &str| modules_to_save.iter().any(|saved| saved == module);
    let judges = base.score().is_some();
    let last_block = Place::Block(base.spec().num_hidden_layers.saturating_sub(1));
    let is_trained = |place: Place| match method {
        Method::Full => true,
        Method::LastLayer if judges => place == Place::Score,
        Method::LastLayer => place == last_block || place == Place::FinalNorm,
        Method::Lora => match place {
            Place::Embedding => saves("embed_tokens") && !base.is_encoder(),
            Place::Head => saves("lm_head"),
            Place::Score => true,
            Place::Block(_) | Place::FinalNorm => false,
        },
    };
    let mut base = untied(base, method == Method::Lora && saves("lm_head"));
    let (mut parameters, mut values) = (Vec::new(), Vec::new());
    for NamedWeight { name, place, weight } in base.weights_mut() {
        if !is_trained(place) {
            continue;
        }
        let parameter = Parameter { name, shape: weight.shape(), offset };
        let flat = match weight {
            Weight::Matrix(weight) => weight.clone().reshape([parameter.len()]),
            Weight::Linear(weight) => weight.dense().reshape([parameter.len()]),
            Weight::Vector(weight) => weight.clone(),
        };
        offset += parameter.len();
        parameters.push(parameter);
        values.push(flat);
    }
    (parameters, values)
}

/// How many blocks, from the first on, lie below all that a method trains, so that nothing changes what comes out of them.
pub fn frozen_blocks(base: &Model, method: Method) -> usize {
    let blocks = base.spec().num_hidden_layers;
    match method {
        Method::LastLayer if base.score().is_some() => blocks,
        Method::LastLayer => blocks.saturating_sub(1),
        // Both train the first block.
        Method::Full | Method::Lora => 0,
    }
}

/// A copy of the base with these weights in the place of its own.
pub(super) fn replace(
    base: &Model,
    method: Method,
    parameters: &[Parameter],
    leaves: &[Leaf],
    labels: &Option<Vec<String>>,
) -> Model {
    if parameters.is_empty() {
        return base.clone();
    }
    let leaf = |name: &str| {
        let place = parameters.iter().position(|parameter| parameter.name == name)?;
        leaves.get(place)
    };
    let mut model = base.clone();
    if let (Some(Leaf::Matrix(weight)), Some(labels)) = (leaf(score::WEIGHT), labels) {
        model = base.with_score(Score { weight: weight.clone(), labels: labels.clone() });
    }
    // As in PEFT, the trained copy of a tied matrix goes its own way and the other use keeps the base's.
    let is_copied = |named: &NamedWeight| {
        matches!(named.place, Place::Embedding | Place::Head) && leaf(&named.name).is_some()
    };
    if method == Method::Lora {
        let mut apart = untied(&model, true);
        let is_copied = apart.weights_mut().iter().any(is_copied);
        model = if is_copied { apart } else { model };
    }
    for NamedWeight { name, weight, .. } in model.weights_mut() {
        match (weight, leaf(&name)) {
            (Weight::Matrix(weight), Some(Leaf::Matrix(leaf))) => *weight = leaf.clone(),
            (Weight::Linear(weight), Some(Leaf::Matrix(leaf))) => *weight = Matrix::Dense(leaf.clone()),
            (Weight::Vector(weight), Some(Leaf::Vector(leaf))) => *weight = leaf.clone(),
            _ => {}
        }
    }
    model
}

/// A copy whose output projection is a tensor of its own, if `asked` and it is tied.
fn untied(model: &Model, asked: bool) -> Model {
    match model {
        Model::Decoder(decoder) if asked => decoder.untied().into(),
        _ => model.clone(),
    }
}
