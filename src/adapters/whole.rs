//! Weights that are trained whole: all of them, the last layer's, or a few beside an adapter.

use super::trainable::{Leaf, Parameter};
use crate::kernels::blocks::Matrix;
use crate::models::Model;
use crate::models::llama::Weight;
use crate::models::score::{self, Score};
use crate::recipe::Method;
use burn::tensor::Tensor;

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The base's weights that a method trains whole, from place `offset` of the flat buffer on, and their
/// values in the same order, each flat.
pub(super) fn parameters(
    base: &Model,
    method: Method,
    modules_to_save: &[String],
    mut offset: usize,
) -> (Vec<Parameter>, Vec<Tensor<1>>) {
    let saved = |name: &str| modules_to_save.iter().any(|module| name.ends_with(&format!("{module}.weight")));
    let judges = base.score().is_some();
    let last_block = match base {
        Model::Llama(llama) => format!("model.layers.{}.", llama.layers.len().saturating_sub(1)),
        Model::Bert(bert) => format!("encoder.layer.{}.", bert.layers.len().saturating_sub(1)),
    };
    let is_trained = |name: &str| match method {
        Method::Full => true,
        Method::LastLayer if judges => name == score::WEIGHT,
        Method::LastLayer => name.starts_with(&last_block) || name == "model.norm.weight",
        Method::Lora => name == score::WEIGHT || saved(name),
    };
    let mut base = untied(base, method == Method::Lora && saved(HEAD));
    let (mut parameters, mut values) = (Vec::new(), Vec::new());
    for (name, weight) in base.weights_mut() {
        if !is_trained(&name) {
            continue;
        }
        let (shape, flat) = match weight {
            Weight::Matrix(weight) => {
                let [rows, columns] = weight.dims();
                (vec![rows, columns], weight.clone().reshape([rows * columns]))
            }
            Weight::Linear(weight) => {
                let [rows, columns] = weight.dims();
                (vec![rows, columns], weight.dense().reshape([rows * columns]))
            }
            Weight::Vector(weight) => (weight.dims().to_vec(), weight.clone()),
        };
        let parameter = Parameter { name, shape, offset };
        offset += parameter.len();
        parameters.push(parameter);
        values.push(flat);
    }
    (parameters, values)
}

/// A copy of the base with these weights in the place of its own.
pub(super) fn replace(
    base: &Model,
    method: Method,
    parameters: &[Parameter],
    leaves: &[Leaf],
    labels: &Option<Vec<String>>,
) -> Model {
    let leaf = |name: &str| {
        let place = parameters.iter().position(|parameter| parameter.name == name)?;
        leaves.get(place)
    };
    let mut model = base.clone();
    if let (Some(Leaf::Matrix(weight)), Some(labels)) = (leaf(score::WEIGHT), labels) {
        model = base.with_score(Score { weight: weight.clone(), labels: labels.clone() });
    }
    // As in PEFT, the trained copy of a tied matrix goes its own way and the other use keeps the base's.
    let copied = leaf(HEAD).is_some() || leaf(EMBEDDING).is_some();
    model = untied(&model, method == Method::Lora && copied);
    for (name, weight) in model.weights_mut() {
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
    let mut model = model.clone();
    if let Model::Llama(llama) = &mut model
        && asked
        && llama.lm_head.is_none()
        && llama.score.is_none()
    {
        llama.lm_head = Some(llama.embed_tokens.clone());
    }
    model
}
