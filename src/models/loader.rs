//! Where an architecture gets its weights from, by the names of its checkpoint. Here alone shapes are compared with what a
//! file has, and it is known whether a matrix stays in the form in which it is stored.

use super::config::Spec;
use super::float_tensor;
use super::layers::embedding::Embedding;
use super::layers::layer_norm::LayerNorm;
use super::layers::linear::Linear;
use super::layers::rms_norm::RmsNorm;
use super::score::{self, Score};
use crate::error::{Error, Result};
use crate::kernels::blocks::{Blocks, HostBlocks, Matrix};
use crate::kernels::persistent;
use burn::tensor::{Device, Tensor};
use std::cell::RefCell;
use std::fmt::Display;

/// Where values come from, by their checkpoint names. A function that gives values will do.
pub trait ReadWeights {
    /// Row-major f32 values of the given shape.
    ///
    /// # Errors
    /// A missing tensor, a file that cannot be read.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;

    /// A matrix in blocks, where it is to stay in them.
    ///
    /// # Errors
    /// As for values.
    fn blocks(&self, _name: &str, _shape: [usize; 2]) -> Result<Option<HostBlocks>> {
        Ok(None)
    }

    /// What a file has under this name; `None` where values are made as they are asked for.
    ///
    /// # Errors
    /// A missing tensor.
    fn stored(&self, _name: &str) -> Result<Option<Stored<'_>>> {
        Ok(None)
    }

    /// The names of all tensors that are stored; none where values are made as they are asked for.
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl<F: Fn(&str, &[usize]) -> Result<Vec<f32>>> ReadWeights for F {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self(name, shape)
    }
}

/// A tensor in a file.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub file: &'a str,
    pub shape: &'a [usize],
}

/// Reads weights below a path. As candle's `VarBuilder`: `weights.at("self_attn").linear("q_proj", out, input)`.
pub struct Loader<'a> {
    read: &'a dyn ReadWeights,
    device: &'a Device,
    /// Empty, or with a point at its end.
    path: String,
    /// Where only what is asked for is of interest: no values are read, and tensors are empty.
    asked: Option<&'a RefCell<Vec<Asked>>>,
}

impl<'a> Loader<'a> {
    pub fn new(read: &'a dyn ReadWeights, device: &'a Device) -> Loader<'a> {
        Loader { read, device, path: String::new(), asked: None }
    }

    /// The weights below this path.
    pub fn at(&self, path: impl Display) -> Loader<'a> {
        Loader { path: format!("{}{path}.", self.path), ..*self }
    }

    /// The blocks below this path, which are numbered from 0 on.
    ///
    /// # Errors
    /// The file has more or fewer; whatever `load` reports.
    pub fn blocks<T>(
        &self,
        path: &str,
        count: usize,
        load: impl Fn(usize, &Loader) -> Result<T>,
    ) -> Result<Vec<T>> {
        let blocks = self.at(path);
        let names = self.read.names();
        let number = |name: &str| name.strip_prefix(&blocks.path)?.split('.').next()?.parse::<usize>().ok();
        let stored = names.iter().filter_map(|name| Some((number(name)?.saturating_add(1), name))).max();
        if let Some((stored, name)) = stored.filter(|(stored, _)| *stored != count) {
            let file = self.read.stored(name)?.map_or("model", |stored| stored.file).into();
            let reason =
                format!("has {stored} layers, but its config says {count}; download the model again");
            return Err(Error::InvalidModelFile { file, reason });
        }
        (0..count).map(|i| load(i, &blocks.at(i))).collect()
    }

    /// `<name>.weight`, `[out, input]`
    ///
    /// # Errors
    /// As for all of these: a missing tensor, a wrong shape, a file that cannot be read.
    pub fn linear(&self, name: &str, out: usize, input: usize) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), [out, input])?;
        Ok(Linear { path: self.named(name).into(), weight, bias: None, lora: None, fp16: false })
    }

    /// The same with `<name>.bias`, `[out]`.
    ///
    /// # Errors
    /// As for [`Loader::linear`].
    pub fn linear_with_bias(&self, name: &str, out: usize, input: usize) -> Result<Linear> {
        let bias = self.vector(&format!("{name}.bias"), out)?;
        Ok(Linear { bias: Some(bias), ..self.linear(name, out, input)? })
    }

    /// `<name>.weight`, `[rows, width]`: an embedding, or an output projection.
    ///
    /// # Errors
    /// As for [`Loader::linear`].
    pub fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<Embedding> {
        let weight = self.matrix(&format!("{name}.weight"), [rows, width])?;
        Ok(Embedding { path: self.named(name).into(), weight })
    }

    /// `<name>.weight`, `[width]`
    ///
    /// # Errors
    /// As for [`Loader::linear`].
    pub fn rms_norm(&self, name: &str, width: usize, eps: f64) -> Result<RmsNorm> {
        let weight = self.vector(&format!("{name}.weight"), width)?;
        Ok(RmsNorm { path: self.named(name).into(), weight, eps })
    }

    /// `<name>.weight` and `<name>.bias`, `[width]` each
    ///
    /// # Errors
    /// As for [`Loader::linear`].
    pub fn layer_norm(&self, name: &str, width: usize, eps: f64) -> Result<LayerNorm> {
        let weight = self.vector(&format!("{name}.weight"), width)?;
        let bias = self.vector(&format!("{name}.bias"), width)?;
        Ok(LayerNorm { path: self.named(name).into(), weight, bias, eps })
    }

    /// The head of a model that judges, a row a label; `None` without labels.
    ///
    /// # Errors
    /// As for [`Loader::linear`].
    pub fn score(&self, labels: Option<Vec<String>>, width: usize) -> Result<Option<Score>> {
        let Some(labels) = labels else { return Ok(None) };
        let weight = match self.ask(score::WEIGHT, &[labels.len(), width], false)? {
            true => self.numbers(&self.named(score::WEIGHT), [labels.len(), width])?,
            false => Tensor::empty([0, 0], self.device),
        };
        Ok(Some(Score { weight, labels }))
    }

    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Matrix> {
        if !self.ask(name, &shape, true)? {
            return Ok(Matrix::Dense(Tensor::empty([0, 0], self.device)));
        }
        let name = self.named(name);
        Ok(match self.read.blocks(&name, shape)? {
            Some(blocks) => Matrix::Blocks(Blocks::new(blocks, shape, self.device)),
            None => Matrix::Dense(self.numbers(&name, shape)?),
        })
    }

    fn numbers(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>> {
        let values = self.read.values(name, &shape)?;
        Ok(persistent(self.device, values, |values| float_tensor(values, shape, self.device)))
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>> {
        if !self.ask(name, &[length], false)? {
            return Ok(Tensor::empty([0], self.device));
        }
        Ok(float_tensor(self.read.values(&self.named(name), &[length])?, [length], self.device))
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// Compares a tensor's shape with the file's, and says whether its values are wanted.
    fn ask(&self, name: &str, shape: &[usize], may_stay_stored: bool) -> Result<bool> {
        let name = self.named(name);
        if let Some(Stored { file, shape: found }) = self.read.stored(&name)?
            && found != shape
        {
            return Err(Error::InvalidTensor {
                file: file.into(),
                reason: format!(
                    "has shape {found:?}, but the config asks for {shape:?}; the files do not belong together, download the model \
                     again"
                ),
                tensor: name,
            });
        }
        let Some(asked) = self.asked else { return Ok(true) };
        asked.borrow_mut().push(Asked { name, shape: shape.to_vec(), may_stay_stored });
        Ok(false)
    }
}

/// The tensors that a model asks for, as its architecture's `load` does.
#[derive(Debug, Clone)]
pub struct Outline {
    pub spec: Spec,
    pub tensors: Vec<Asked>,
}

/// A tensor that a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub name: String,
    pub shape: Vec<usize>,
    /// Whether it may lie on the device as it is stored.
    pub may_stay_stored: bool,
}

impl Outline {
    pub(super) fn of(read: &dyn ReadWeights, load: impl FnOnce(&Loader) -> Result<Spec>) -> Result<Outline> {
        let (asked, device) = (RefCell::default(), Device::flex());
        let spec = load(&Loader { asked: Some(&asked), ..Loader::new(read, &device) })?;
        Ok(Outline { spec, tensors: asked.into_inner() })
    }

    /// How many numbers the model has.
    pub fn parameters(&self) -> u64 {
        let size = |asked: &Asked| asked.shape.iter().fold(1, |size: u64, &n| size.saturating_mul(n as u64));
        self.tensors.iter().map(size).fold(0, u64::saturating_add)
    }

    /// The stored tensors that the model does not ask for, such as the value head that a trainer left.
    ///
    /// # Errors
    /// One of them lies within a block, or beside a weight that the model reads, so that it would change what is computed.
    pub fn unread<'a>(&self, read: &'a dyn ReadWeights) -> Result<Vec<&'a str>> {
        let module = |name: &str| name.rsplit_once('.').map_or(String::new(), |(module, _)| module.into());
        let names: std::collections::HashSet<&str> =
            self.tensors.iter().map(|asked| asked.name.as_str()).collect();
        let modules: std::collections::HashSet<String> = names.iter().map(|name| module(name)).collect();
        let blocks = format!("{}.", self.spec.blocks);
        let mut unread = Vec::new();
        for name in read.names().into_iter().filter(|name| !names.contains(name)) {
            if name.starts_with(&blocks) || modules.contains(&module(name)) {
                let architecture = self.spec.architecture;
                return Err(Error::InvalidTensor {
                    file: read.stored(name)?.map_or("model", |stored| stored.file).into(),
                    tensor: name.into(),
                    reason: format!(
                        "has no place in a {architecture} model, so the model would compute something else without it; take a \
                         model of the plain {architecture} architecture, or save this one again without it"
                    ),
                });
            }
            unread.push(name);
        }
        Ok(unread)
    }
}
