//! All trainable parameters as one flat buffer, so that the optimizer, the gradient norm
//! and a checkpoint each deal with a single tensor.

use super::target::{Target, targets};
use super::{dora, lora, whole};
use crate::kernels::concat::concat;
use crate::models::{Model, float_tensor};
use crate::recipe::{LoraRecipe, Method, Recipe, TargetModules};
use burn::tensor::{Gradients, Tensor, s};
use std::ops::Range;

/// One named parameter's place in the flat buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub offset: usize,
}

/// One parameter as a tensor of its own shape, or the values of several.
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
    /// The layers with a low-rank path, in the model's order; none without an adapter.
    pub targets: Vec<Target>,
    /// The low-rank pairs of an adapter, then DoRA's magnitudes, then the weights that are trained whole.
    pub parameters: Vec<Parameter>,
    /// Which of the parameters are low-rank pairs of layers that are computed together: ranges of them, in order.
    groups: Vec<Range<usize>>,
    /// Names of the rows of the `score` head, where one is trained.
    pub labels: Option<Vec<String>>,
    /// Whether the model is an encoder, which has no output projection.
    pub is_encoder: bool,
    /// `[total]`, outside autodiff.
    pub values: Tensor<1>,
}

impl Trainable {
    /// Fresh parameters: a zero-effect adapter, and copies of the weights that are trained whole.
    pub fn new(base: &Model, recipe: &Recipe) -> Trainable {
        let targets = match recipe.method {
            Method::Lora => targets(base, &recipe.lora),
            Method::Full | Method::LastLayer => Vec::new(),
        };
        Trainable::with_targets(base, recipe, targets)
    }

    /// The same with low-rank paths that need not be the recipe's; `targets` are in the model's order.
    pub fn with_targets(base: &Model, recipe: &Recipe, targets: Vec<Target>) -> Trainable {
        let low_rank = lora::parameters(base, &targets);
        let low_rank_values = lora::initial_values(&low_rank, recipe.train.seed);
        let total = low_rank_values.len();
        let (magnitudes, magnitude_values) = match recipe.method {
            Method::Lora => dora::parameters(base, &recipe.lora, &targets, total),
            Method::Full | Method::LastLayer => Default::default(),
        };
        let offset = total + magnitudes.iter().map(Parameter::len).sum::<usize>();
        let saved = &recipe.lora.modules_to_save;
        let (whole, whole_values) = whole::parameters(base, recipe.method, saved, offset);
        let low_rank_values = (total > 0).then(|| float_tensor(low_rank_values, [total], &base.device()));
        let parts: Vec<Tensor<1>> =
            low_rank_values.into_iter().chain(magnitude_values).chain(whole_values).collect();
        Trainable {
            method: recipe.method,
            lora: LoraRecipe {
                target_modules: match &recipe.lora.target_modules {
                    TargetModules::AllLinear => TargetModules::Named(base.linear_modules()),
                    named => named.clone(),
                },
                ..recipe.lora.clone()
            },
            groups: lora::groups(base, &targets),
            targets,
            parameters: [low_rank, magnitudes, whole].concat(),
            labels: base.labels().cloned(),
            is_encoder: base.is_encoder(),
            values: Tensor::cat(parts, 0),
        }
    }

    /// How many numbers are trained.
    pub fn len(&self) -> usize {
        self.parameters.iter().map(Parameter::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// With LoRA+, what the learning rate of each value is multiplied with: `[total]`.
    pub fn learning_rate_factors(&self) -> Option<Tensor<1>> {
        let ratio = self.lora.loraplus_lr_ratio;
        let asked = self.method == Method::Lora && ratio != 1.0;
        let factors = asked.then(|| lora::learning_rate_factors(&self.parameters, ratio))?;
        Some(float_tensor(factors, [self.len()], &self.values.device()))
    }

    /// The parameters as separate tensors, those of low-rank paths that read the same input as one; with `require_grad` they
    /// are autodiff leaves.
    pub fn leaves(&self, require_grad: bool) -> Vec<Leaf> {
        let cut = |offset: usize, length: usize| self.values.clone().narrow(0, offset, length);
        let matrix = |tensor: Tensor<2>| match require_grad {
            true => Leaf::Matrix(tensor.autodiff().require_grad()),
            false => Leaf::Matrix(tensor),
        };
        let vector = |tensor: Tensor<1>| match require_grad {
            true => Leaf::Vector(tensor.autodiff().require_grad()),
            false => Leaf::Vector(tensor),
        };
        let (low_rank, rest) = self.parameters.split_at(self.low_rank());
        let groups = self.groups.iter().map(|group| {
            let length = low_rank[group.clone()].iter().map(Parameter::len).sum();
            vector(cut(low_rank[group.start].offset, length))
        });
        let rest = rest.iter().map(|parameter| {
            let values = cut(parameter.offset, parameter.len());
            match parameter.shape[..] {
                [rows, columns] => matrix(values.reshape([rows, columns])),
                _ => vector(values),
            }
        });
        groups.chain(rest).collect()
    }

    /// A copy of the base that computes with these parameters; `dropout_seed` is `None`
    /// outside training.
    pub fn attach(&self, base: &Model, leaves: &[Leaf], dropout_seed: Option<u64>) -> Model {
        let (low_rank, rest) = self.parameters.split_at(self.low_rank());
        let magnitudes = rest.iter().filter(|parameter| dora::is_part(&parameter.name)).count();
        let (of_low_rank, leaves) = leaves.split_at(self.groups.len());
        let (of_magnitudes, of_whole) = leaves.split_at(magnitudes);
        let mut model = whole::replace(base, self.method, &rest[magnitudes..], of_whole, &self.labels);
        let (targets, groups) = (&self.targets, &self.groups);
        lora::attach(&mut model, &self.lora, targets, low_rank, groups, of_low_rank, dropout_seed);
        dora::attach(&mut model, &self.targets, of_magnitudes);
        model
    }

    /// The values, for an update in place; until they are put back there are none.
    pub fn take_values(&mut self) -> Tensor<1> {
        let nothing = Tensor::empty([0], &self.values.device());
        std::mem::replace(&mut self.values, nothing)
    }

    /// How many parameters, the first ones, are of low-rank paths.
    fn low_rank(&self) -> usize {
        self.parameters.iter().filter(|parameter| lora::is_part(&parameter.name)).count()
    }

    /// The base with the present values attached, for evaluation and generation.
    pub fn tuned(&self, base: &Model) -> Model {
        self.attach(base, &self.leaves(false), None)
    }

    /// The leaves' gradients as one flat tensor `[total]`, zero where a leaf had none.
    pub fn flat_gradient(&self, leaves: &[Leaf], gradients: &mut Gradients) -> Tensor<1> {
        let device = self.values.device();
        let zeros = |leaf: &Leaf| Tensor::zeros([leaf.len()], &device);
        let parts = leaves.iter().map(|leaf| leaf.take_gradient(gradients).unwrap_or_else(|| zeros(leaf)));
        concat(parts.collect())
    }

    /// Adds the gradients of those leaves that have one to a flat tensor `[total]`, in place where nobody else holds it.
    pub fn add_gradients(
        &self,
        leaves: &[Leaf],
        gradients: &mut Gradients,
        mut flat: Tensor<1>,
    ) -> Tensor<1> {
        let (mut run, mut end) = (Vec::new(), 0);
        for leaf in leaves {
            match leaf.take_gradient(gradients) {
                Some(gradient) => run.push(gradient),
                None => flat = add_run(flat, std::mem::take(&mut run), end),
            }
            end += leaf.len();
        }
        add_run(flat, run, end)
    }
}

/// Adds vectors that lie one after the other, up to `end`.
fn add_run(flat: Tensor<1>, run: Vec<Tensor<1>>, end: usize) -> Tensor<1> {
    if run.is_empty() {
        return flat;
    }
    let run = concat(run);
    let start = end - run.dims()[0];
    let sum = flat.clone().narrow(0, start, end - start) + run;
    flat.slice_assign(s![start..end], sum)
}

impl Leaf {
    /// `[length]`
    fn take_gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        match self {
            Leaf::Matrix(matrix) => {
                matrix.grad_remove(gradients).map(|gradient| gradient.reshape([self.len()]))
            }
            Leaf::Vector(vector) => vector.grad_remove(gradients),
        }
    }

    fn len(&self) -> usize {
        match self {
            Leaf::Matrix(leaf) => leaf.dims().iter().product(),
            Leaf::Vector(leaf) => leaf.dims()[0],
        }
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
