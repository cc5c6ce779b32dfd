//! All trainable parameters as one flat buffer, so that the optimizer, the gradient norm
//! and a checkpoint each deal with a single tensor.

use super::lora;
use crate::models::llama::Weight;
use crate::models::{Llama, float_tensor};
use crate::recipe::{LoraRecipe, Method, Recipe};
use burn::tensor::{Gradients, Tensor};

/// One named parameter's place in the flat buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub offset: usize,
}

/// One parameter as a tensor of its own shape.
#[derive(Debug, Clone)]
pub enum Leaf {
    Matrix(Tensor<2>),
    Vector(Tensor<1>),
}

/// The trainable parameters of one run.
#[derive(Debug, Clone)]
pub struct Trainable {
    pub method: Method,
    pub lora: LoraRecipe,
    pub parameters: Vec<Parameter>,
    /// `[total]`, outside autodiff.
    pub values: Tensor<1>,
}

impl Trainable {
    /// Fresh parameters: a zero-effect adapter, or a copy of every weight.
    pub fn new(base: &Llama, recipe: &Recipe) -> Trainable {
        let (parameters, values) = match recipe.method {
            Method::Lora => {
                let parameters = lora::parameters(base, &recipe.lora);
                let values = lora::initial_values(&parameters, recipe.train.seed);
                let total = values.len();
                (parameters, float_tensor(values, [total], &base.device()))
            }
            Method::Full => full_parameters(base),
        };
        Trainable { method: recipe.method, lora: recipe.lora.clone(), parameters, values }
    }

    /// How many numbers are trained.
    pub fn len(&self) -> usize {
        self.parameters.iter().map(Parameter::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// The parameters as separate tensors; with `require_grad` they are autodiff leaves.
    pub fn leaves(&self, require_grad: bool) -> Vec<Leaf> {
        let cut = |parameter: &Parameter| self.values.clone().narrow(0, parameter.offset, parameter.len());
        let matrix = |tensor: Tensor<2>| match require_grad {
            true => Leaf::Matrix(tensor.autodiff().require_grad()),
            false => Leaf::Matrix(tensor),
        };
        let vector = |tensor: Tensor<1>| match require_grad {
            true => Leaf::Vector(tensor.autodiff().require_grad()),
            false => Leaf::Vector(tensor),
        };
        self.parameters
            .iter()
            .map(|parameter| match parameter.shape[..] {
                [rows, columns] => matrix(cut(parameter).reshape([rows, columns])),
                _ => vector(cut(parameter)),
            })
            .collect()
    }

    /// A copy of the base that computes with these parameters; `dropout_seed` is `None`
    /// outside training.
    pub fn attach(&self, base: &Llama, leaves: &[Leaf], dropout_seed: Option<u64>) -> Llama {
        match self.method {
            Method::Lora => lora::attach(base, &self.lora, leaves, dropout_seed),
            Method::Full => {
                let mut model = base.clone();
                for ((_, weight), leaf) in model.weights_mut().into_iter().zip(leaves) {
                    match (weight, leaf) {
                        (Weight::Matrix(weight), Leaf::Matrix(leaf)) => *weight = leaf.clone(),
                        (Weight::Vector(weight), Leaf::Vector(leaf)) => *weight = leaf.clone(),
                        _ => unreachable!("parameters were listed from the same weights"),
                    }
                }
                model
            }
        }
    }

    /// The base with the present values attached, for evaluation and generation.
    pub fn tuned(&self, base: &Llama) -> Llama {
        self.attach(base, &self.leaves(false), None)
    }

    /// The leaves' gradients as one flat tensor `[total]`, zero where a leaf had none.
    pub fn flat_gradient(&self, leaves: &[Leaf], gradients: &mut Gradients) -> Tensor<1> {
        let device = self.values.device();
        let parts = leaves
            .iter()
            .zip(&self.parameters)
            .map(|(leaf, parameter)| {
                let gradient = match leaf {
                    Leaf::Matrix(leaf) => leaf.grad_remove(gradients).map(|g| g.reshape([parameter.len()])),
                    Leaf::Vector(leaf) => leaf.grad_remove(gradients),
                };
                gradient.unwrap_or_else(|| Tensor::zeros([parameter.len()], &device))
            })
            .collect();
        Tensor::cat(parts, 0)
    }
}

impl Parameter {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn full_parameters(base: &Llama) -> (Vec<Parameter>, Tensor<1>) {
    let mut base = base.clone();
    let (mut parameters, mut parts, mut offset) = (Vec::new(), Vec::new(), 0);
    for (name, weight) in base.weights_mut() {
        let (shape, flat) = match weight {
            Weight::Matrix(weight) => {
                let [rows, columns] = weight.dims();
                (vec![rows, columns], weight.clone().reshape([rows * columns]))
            }
            Weight::Vector(weight) => (weight.dims().to_vec(), weight.clone()),
        };
        let parameter = Parameter { name, shape, offset };
        offset += parameter.len();
        parameters.push(parameter);
        parts.push(flat);
    }
    (parameters, Tensor::cat(parts, 0))
}
