//! Frozen weights that stay in blocks of 32 with a scale and a minimum each, as GGUF stores Q4_0, Q4_1 and Q8_0, and their
//! expansion where a product needs them.

use super::lasting;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Weights in a block.
pub const BLOCK: usize = 32;

/// How a block keeps its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 32 signed bytes.
    Q8,
    /// 16 bytes, of which the i-th holds weight i in its lower four bits and weight i + 16 in its upper ones.
    Q4,
}

/// The blocks of a matrix on the host. A weight is its number times the block's scale plus the block's minimum.
#[derive(Debug, Clone)]
pub struct HostBlocks {
    pub form: Form,
    /// `[out * in / 32 * bytes of a block]`, row by row.
    pub quants: Vec<u8>,
    /// Scale and minimum of each block: `[out * in / 32 * 2]`.
    pub scales: Vec<f32>,
}

/// A weight matrix in blocks: `[out, in]`.
#[derive(Debug, Clone)]
pub struct Blocks {
    pub form: Form,
    pub shape: [usize; 2],
    /// `[out * in / 32 * words of a block]`
    quants: Tensor<1, Int>,
    /// `[out * in / 32 * 2]`
    scales: Tensor<1>,
}

/// A weight matrix of a linear layer or an embedding, `[out, in]`, as it lies on the device.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a model has a few hundred of them")]
pub enum Matrix {
    Dense(Tensor<2>),
    Blocks(Blocks),
}

impl Form {
    /// Of 32 bits, for one block.
    pub fn words(self) -> usize {
        match self {
            Form::Q8 => 8,
            Form::Q4 => 4,
        }
    }
}

impl Blocks {
    /// # Panics
    /// When the blocks are not as many as the shape has.
    pub fn new(host: HostBlocks, shape: [usize; 2], device: &Device) -> Blocks {
        let blocks = shape[0] * shape[1] / BLOCK;
        assert_eq!((host.scales.len(), host.quants.len()), (blocks * 2, blocks * host.form.words() * 4));
        let (words, _) = host.quants.as_chunks::<4>();
        let words: Vec<i32> = words.iter().map(|word| i32::from_le_bytes(*word)).collect();
        let words = TensorData::new(words, [blocks * host.form.words()]);
        let scales = TensorData::new(host.scales, [blocks * 2]);
        let (quants, scales) = lasting(device, (words, scales), |(words, scales)| {
            (Tensor::from_data(words, (device, DType::I32)), Tensor::from_data(scales, device))
        });
        Blocks { form: host.form, shape, quants, scales }
    }

    /// The weights as numbers: `[out, in]`.
    pub fn expand(&self) -> Tensor<2> {
        let is_autodiff = self.scales.is_autodiff();
        let (quants, scales) = (self.quants.clone(), self.scales.clone().inner());
        let [out, input] = self.shape;
        let (quants, scales) = (quants.into_dispatch(), scales.into_dispatch());
        let dense =
            Tensor::from_dispatch(<Dispatch as Expand>::expand(quants, scales, self.form, out, input));
        if is_autodiff { dense.autodiff() } else { dense }
    }

    /// `count` rows from `first` on.
    fn rows(&self, first: usize, count: usize) -> Blocks {
        let [words, scales] = self.of_row();
        Blocks {
            form: self.form,
            shape: [count, self.shape[1]],
            quants: self.quants.clone().narrow(0, first * words, count * words),
            scales: self.scales.clone().narrow(0, first * scales, count * scales),
        }
    }

    /// The rows of these indices.
    fn select(&self, indices: Tensor<1, Int>) -> Blocks {
        let ([rows, input], [words, scales], [count]) = (self.shape, self.of_row(), indices.dims());
        let quants = self.quants.clone().reshape([rows, words]).select(0, indices.clone());
        let picked = self.scales.clone().reshape([rows, scales]).select(0, indices);
        Blocks {
            form: self.form,
            shape: [count, input],
            quants: quants.reshape([count * words]),
            scales: picked.reshape([count * scales]),
        }
    }

    /// Words and scales of a row.
    fn of_row(&self) -> [usize; 2] {
        let blocks = self.shape[1] / BLOCK;
        [blocks * self.form.words(), blocks * 2]
    }

    /// Both tensors, for an operation that expands them itself.
    pub(super) fn parts(&self) -> (Tensor<1, Int>, Tensor<1>) {
        (self.quants.clone(), self.scales.clone())
    }
}

impl Matrix {
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Matrix::Dense(weight) => weight.dims(),
            Matrix::Blocks(blocks) => blocks.shape,
        }
    }

    pub fn device(&self) -> Device {
        match self {
            Matrix::Dense(weight) => weight.device(),
            Matrix::Blocks(blocks) => blocks.scales.device(),
        }
    }

    /// The weights as numbers: `[out, in]`; of blocks a new tensor.
    pub fn dense(&self) -> Tensor<2> {
        match self {
            Matrix::Dense(weight) => weight.clone(),
            Matrix::Blocks(blocks) => blocks.expand(),
        }
    }

    /// `count` rows from `first` on, as numbers: `[count, in]`.
    pub fn rows(&self, first: usize, count: usize) -> Tensor<2> {
        match self {
            Matrix::Dense(weight) => weight.clone().narrow(0, first, count),
            Matrix::Blocks(blocks) => blocks.rows(first, count).expand(),
        }
    }

    /// The rows of these indices, as numbers: `[indices, in]`.
    pub fn select(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Matrix::Dense(weight) => weight.clone().select(0, indices),
            Matrix::Blocks(blocks) => blocks.select(indices).expand(),
        }
    }

    /// On the device.
    pub fn bytes(&self) -> usize {
        let [out, input] = self.dims();
        match self {
            Matrix::Dense(_) => out * input * 4,
            Matrix::Blocks(blocks) => out * input / BLOCK * (blocks.form.words() + 2) * 4,
        }
    }

    /// Whether gradients are taken for it.
    pub fn is_trained(&self) -> bool {
        matches!(self, Matrix::Dense(weight) if weight.is_autodiff() && weight.is_tracked())
    }

    /// The same outside of autodiff.
    pub fn inner(self) -> Matrix {
        match self {
            Matrix::Dense(weight) => Matrix::Dense(weight.inner()),
            Matrix::Blocks(blocks) => Matrix::Blocks(Blocks { scales: blocks.scales.inner(), ..blocks }),
        }
    }

    /// The same within autodiff, where it gets no gradient.
    pub fn autodiff(self) -> Matrix {
        match self {
            Matrix::Dense(weight) => Matrix::Dense(weight.autodiff()),
            Matrix::Blocks(blocks) => Matrix::Blocks(Blocks { scales: blocks.scales.autodiff(), ..blocks }),
        }
    }
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Expand: Backend {
    /// - quants: `[out * in / 32 * words of a block]`, scales: `[out * in / 32 * 2]`
    /// - output: `[out, in]`
    fn expand(
        quants: IntTensor<Self>,
        scales: FloatTensor<Self>,
        form: Form,
        out: usize,
        input: usize,
    ) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Expand for burn::backend::Wgpu {
    fn expand(
        quants: IntTensor<Self>,
        scales: FloatTensor<Self>,
        form: Form,
        out: usize,
        input: usize,
    ) -> FloatTensor<Self> {
        super::gpu::blocks::expand(&quants, &scales, form, out, input)
    }
}

impl Expand for Flex {
    fn expand(
        quants: IntTensor<Self>,
        scales: FloatTensor<Self>,
        form: Form,
        out: usize,
        input: usize,
    ) -> FloatTensor<Self> {
        assert_eq!(quants.shape()[0] * BLOCK, out * input * form.words());
        let mut values = vec![0.0; out * input];
        // Both may be parts of a larger matrix.
        assert!(quants.is_contiguous() && scales.is_contiguous());
        let (first_word, first_scale) = (quants.layout().start_offset(), scales.layout().start_offset());
        let words = quants.storage::<i32>()[first_word..].chunks_exact(form.words());
        let scales = scales.storage::<f32>()[first_scale..].as_chunks::<2>().0;
        for ((block, words), [scale, minimum]) in
            values.as_chunks_mut::<BLOCK>().0.iter_mut().zip(words).zip(scales)
        {
            for (i, word) in words.iter().enumerate() {
                for (j, byte) in word.to_le_bytes().into_iter().enumerate() {
                    let at = 4 * i + j;
                    match form {
                        Form::Q8 => block[at] = f32::from(byte as i8) * scale + minimum,
                        Form::Q4 => {
                            block[at] = f32::from(byte & 15) * scale + minimum;
                            block[at + BLOCK / 2] = f32::from(byte >> 4) * scale + minimum;
                        }
                    }
                }
            }
        }
        Flex::float_from_data(TensorData::new(values, [out, input]), &Default::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_scale_times_number_plus_minimum() {
        let device = Device::flex();
        let scales = vec![0.5, -1.0, 2.0, 3.0];
        let bytes = |count: usize| (0..count).map(|i| (i * 37 + 200) as u8).collect::<Vec<u8>>();
        let expanded = |form: Form, quants: Vec<u8>| {
            let host = HostBlocks { form, quants, scales: scales.clone() };
            Blocks::new(host, [2, 32], &device).expand().to_data().iter::<f32>().collect::<Vec<f32>>()
        };
        let eight = expanded(Form::Q8, bytes(64));
        let expected: Vec<f32> = bytes(64)
            .iter()
            .enumerate()
            .map(|(i, &b)| f32::from(b as i8) * scales[i / 32 * 2] + scales[i / 32 * 2 + 1])
            .collect();
        assert_eq!(eight, expected);
        let four = expanded(Form::Q4, bytes(32));
        let quants = bytes(32);
        for (i, value) in four.iter().enumerate() {
            let (block, at) = (i / 32, i % 32);
            let byte = quants[block * 16 + at % 16];
            let quant = if at < 16 { byte & 15 } else { byte >> 4 };
            assert_eq!(*value, f32::from(quant) * scales[2 * block] + scales[2 * block + 1]);
        }
    }
}
