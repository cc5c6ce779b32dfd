//! What a model is made of, handed out part by part, so that nobody else needs a list of an architecture's layers.

use super::layers::linear::Linear;
use super::{Decoder, Encoder, Model};
use crate::kernels::blocks::Matrix;
use burn::tensor::Tensor;

/// Takes the parts of a model, in the order in which the model computes with them.
pub trait Visitor<'a> {
    /// The parts that follow lie here.
    fn place(&mut self, _place: Place) {}

    /// Linear layers that read the same input and are computed together, of which a checkpoint has the weights one by one.
    fn linears(&mut self, linears: Vec<&'a mut Linear>);

    /// A weight of no linear layer, by its checkpoint name.
    fn weight(&mut self, name: String, weight: Weight<'a>);
}

/// Where in a model a part lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Embedding,
    /// In the block of this number, from 0 on.
    Block(usize),
    /// The norm behind the last block.
    FinalNorm,
    /// The output projection.
    Head,
    /// What a model that judges has.
    Score,
}

/// One trainable weight, by the rank of its tensor.
pub enum Weight<'a> {
    Matrix(&'a mut Tensor<2>),
    /// The weight of a linear layer or an embedding, which may lie in blocks.
    Linear(&'a mut Matrix),
    Vector(&'a mut Tensor<1>),
}

impl Weight<'_> {
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Weight::Matrix(weight) => weight.dims().to_vec(),
            Weight::Linear(weight) => weight.dims().to_vec(),
            Weight::Vector(weight) => weight.dims().to_vec(),
        }
    }
}

/// A weight with its checkpoint name.
pub struct NamedWeight<'a> {
    pub name: String,
    pub place: Place,
    pub weight: Weight<'a>,
}

/// Every weight of what a closure visits, in checkpoint order.
pub fn weights<'a>(visit: impl FnOnce(&mut dyn Visitor<'a>)) -> Vec<NamedWeight<'a>> {
    let mut weights = Weights { place: Place::Embedding, found: Vec::new() };
    visit(&mut weights);
    weights.found
}

/// The linear layers of what a closure visits, those together that are computed together.
pub fn linear_groups<'a>(visit: impl FnOnce(&mut dyn Visitor<'a>)) -> Vec<Vec<&'a mut Linear>> {
    let mut groups = LinearGroups(Vec::new());
    visit(&mut groups);
    groups.0
}

struct Weights<'a> {
    place: Place,
    found: Vec<NamedWeight<'a>>,
}

impl<'a> Visitor<'a> for Weights<'a> {
    fn place(&mut self, place: Place) {
        self.place = place;
    }

    fn linears(&mut self, linears: Vec<&'a mut Linear>) {
        for Linear { path, weight, bias, .. } in linears {
            self.weight(format!("{path}.weight"), Weight::Linear(weight));
            if let Some(bias) = bias {
                self.weight(format!("{path}.bias"), Weight::Vector(bias));
            }
        }
    }

    fn weight(&mut self, name: String, weight: Weight<'a>) {
        self.found.push(NamedWeight { name, place: self.place, weight });
    }
}

struct LinearGroups<'a>(Vec<Vec<&'a mut Linear>>);

impl<'a> Visitor<'a> for LinearGroups<'a> {
    fn linears(&mut self, linears: Vec<&'a mut Linear>) {
        self.0.push(linears);
    }

    fn weight(&mut self, _name: String, _weight: Weight<'a>) {}
}

impl Model {
    /// Every weight.
    pub fn weights_mut(&mut self) -> Vec<NamedWeight<'_>> {
        weights(move |visitor| self.visit(visitor))
    }

    /// Every linear layer of the blocks.
    pub fn linears_mut(&mut self) -> Vec<&mut Linear> {
        self.linear_groups_mut().into_iter().flatten().collect()
    }

    /// The linear layers of the blocks, those together that are computed together.
    pub fn linear_groups_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        linear_groups(move |visitor| self.visit(visitor))
    }

    /// How many numbers the model has.
    pub fn parameters(&self) -> u64 {
        let size =
            |weight: NamedWeight| weight.weight.shape().iter().map(|&size| size as u64).product::<u64>();
        self.clone().weights_mut().into_iter().map(size).sum()
    }

    /// The module paths of all linear layers of the blocks, in the order of the model.
    pub fn linear_paths(&self) -> Vec<String> {
        self.clone().linears_mut().into_iter().map(|linear| linear.path.to_string()).collect()
    }

    /// The names that `lora.target_modules` can have: for each kind of linear layer the shortest end of its path that no
    /// other kind shares, or where there is none, all of its path within a block.
    pub fn linear_modules(&self) -> Vec<String> {
        let blocks = match self {
            Model::Decoder(Decoder { spec, .. }) | Model::Encoder(Encoder { spec, .. }) => &spec.blocks,
        };
        let mut kinds: Vec<String> = Vec::new();
        for path in self.linear_paths() {
            // `model.layers.3.mlp.up_proj` → `mlp.up_proj`
            let within = path.strip_prefix(blocks.as_str()).and_then(|rest| rest.strip_prefix('.'));
            let kind = within.and_then(|rest| rest.split_once('.')).map_or(path.as_str(), |(_, kind)| kind);
            if !kinds.iter().any(|known| known == kind) {
                kinds.push(kind.into());
            }
        }
        kinds.iter().map(|kind| shortest_end(kind, &kinds).to_string()).collect()
    }
}

/// Whether a module's path ends in this name, in whole parts, as PEFT reads `target_modules`: "output.dense" is not the end of
/// "my_output.dense".
pub fn is_end(name: &str, path: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn shortest_end<'a>(kind: &'a str, kinds: &[String]) -> &'a str {
    let starts = kind.rmatch_indices('.').map(|(at, _)| at + 1).chain([0]);
    let is_shared = |end: &str| kinds.iter().filter(|other| is_end(end, other)).count() > 1;
    starts.map(|start| &kind[start..]).find(|end| !is_shared(end)).unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_the_shortest_end_of_their_own() {
        let kinds = ["attention.self.query", "attention.output.dense", "output.dense", "mlp.up", "b.up"]
            .map(String::from);
        let named = kinds.iter().map(|kind| shortest_end(kind, &kinds)).collect::<Vec<_>>();
        assert_eq!(named, ["query", "attention.output.dense", "output.dense", "mlp.up", "b.up"]);
    }
}
