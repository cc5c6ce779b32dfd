//! A checkpoint's weights as a model asks for them.

use crate::error::Result;
use crate::kernels::blocks::{BLOCK, HostBlocks};
use crate::models::loader::Stored;
use crate::models::{Model, Outline, ReadWeights};
use crate::weights::checkpoint::{Checkpoint, TensorInfo};
use crate::weights::rows::block_form;
use std::cell::Cell;

/// What the model of a checkpoint asks for, and the tensors beside it that it does not: whether the files make a model is known
/// before any values are read.
///
/// # Errors
/// An architecture or a setting that is not supported; a tensor that is missing, of a wrong shape, or without a place.
pub fn outline(checkpoint: &Checkpoint) -> Result<(Outline, Vec<String>)> {
    let read = Weights::new(checkpoint, false, 0, &|_, _| {});
    let outline = Model::outline(&checkpoint.config, &read)?;
    let unread = outline.unread(&read)?.into_iter().map(String::from).collect();
    Ok((outline, unread))
}

pub(super) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    in_blocks: bool,
    /// Bytes, counted as f32.
    done: Cell<u64>,
    total: u64,
    on_progress: &'a dyn Fn(u64, u64),
}

impl<'a> Weights<'a> {
    /// With `in_blocks`, matrices stay in the blocks of the file; `parameters` are how many numbers the model has.
    pub fn new(
        checkpoint: &'a Checkpoint,
        in_blocks: bool,
        parameters: u64,
        on_progress: &'a dyn Fn(u64, u64),
    ) -> Weights<'a> {
        let total = parameters.saturating_mul(4);
        Weights { checkpoint, in_blocks, done: Cell::new(0), total, on_progress }
    }

    fn report(&self, numbers: usize) {
        self.done.set(self.done.get() + numbers as u64 * 4);
        (self.on_progress)(self.done.get().min(self.total), self.total);
    }
}

impl ReadWeights for Weights<'_> {
    fn values(&self, name: &str, _shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.checkpoint.read_f32(name)?;
        self.report(values.len());
        Ok(values)
    }

    fn blocks(&self, name: &str, shape: [usize; 2]) -> Result<Option<HostBlocks>> {
        if !self.in_blocks {
            return Ok(None);
        }
        let blocks = self.checkpoint.read_blocks(name)?;
        if blocks.is_some() {
            self.report(shape[0] * shape[1]);
        }
        Ok(blocks)
    }

    fn stored(&self, name: &str) -> Result<Option<Stored<'_>>> {
        let tensor = self.checkpoint.tensor(name)?;
        Ok(Some(Stored { file: self.checkpoint.file_of(tensor), shape: &tensor.shape }))
    }

    fn names(&self) -> Vec<&str> {
        self.checkpoint.tensors.iter().map(|tensor| tensor.name.as_str()).collect()
    }
}

/// Bytes of a tensor on the device, as numbers or as it is stored.
pub(super) fn bytes_on_device(tensor: &TensorInfo, as_stored: bool) -> u64 {
    let numbers: u64 = tensor.shape.iter().map(|&size| size as u64).product();
    match block_form(tensor.dtype).filter(|_| as_stored) {
        Some(form) if tensor.shape.last().is_some_and(|width| width.is_multiple_of(BLOCK)) => {
            numbers / BLOCK as u64 * form.words() as u64 * 4
        }
        _ => numbers * 4,
    }
}
