//! Frozen weights that stay in 32-bit words as a file has them: in blocks of 32 with a scale and a minimum each, as GGUF's
//! Q4_0, Q4_1 and Q8_0, or as 16-bit floats. Products take them as they are ([`super::lora`]); here they are expanded where
//! some rows are needed as numbers.

use super::persistent;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Weights in a block.
pub const BLOCK: usize = 32;

/// How a block keeps its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// 32 IEEE 754 halves.
    F16,
    /// The upper halves of 32 floats.
    Bf16,
    /// Scale and minimum, then 32 signed bytes. A weight is its number times the scale plus the minimum.
    Q8,
    /// Scale and minimum, then 16 bytes, of which the i-th holds weight i in its lower four bits and weight i + 16 in its upper
    /// ones.
    Q4,
}

/// A weight matrix in blocks on the host, row by row: `[out * in / 32 * words of a block]`.
#[derive(Debug, Clone)]
pub struct HostBlocks {
    pub form: Form,
    pub words: Vec<i32>,
}

/// A weight matrix in blocks: `[out, in]`.
#[derive(Debug, Clone)]
pub struct Blocks {
    pub form: Form,
    pub shape: [usize; 2],
    /// `[out * in / 32 * words of a block]`
    words: Tensor<1, Int>,
}

/// A weight matrix of a linear layer or an embedding, `[out, in]`, as it lies on the device.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a model has a few hundred of them")]
pub enum Matrix {
    Dense(Tensor<2>),
    Blocks(Blocks),
}

impl Form {
    /// Words of one block that hold numbers.
    pub const fn number_words(self) -> usize {
        match self {
            Form::F16 | Form::Bf16 => 16,
            Form::Q8 => 8,
            Form::Q4 => 4,
        }
    }

    /// Words of one block before its numbers: the scale and the minimum, as floats.
    pub const fn head_words(self) -> usize {
        match self {
            Form::F16 | Form::Bf16 => 0,
            Form::Q8 | Form::Q4 => 2,
        }
    }

    /// Words of one block.
    pub const fn words(self) -> usize {
        self.head_words() + self.number_words()
    }

    /// The weights of one block.
    fn decode(self, words: &[i32], weights: &mut [f32; BLOCK]) {
        let (head, numbers) = words.split_at(self.head_words());
        let [scale, minimum] = match head {
            [scale, minimum] => [*scale, *minimum].map(|word| f32::from_bits(word as u32)),
            _ => [1.0, 0.0],
        };
        // Plain loops over bytes and halves, which compilers turn into vectors.
        match self {
            Form::F16 | Form::Bf16 => {
                let mut halves = [0u16; BLOCK];
                for (pair, word) in halves.as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
                    *pair = [*word as u16, (*word >> 16) as u16];
                }
                match self {
                    Form::F16 => weights
                        .iter_mut()
                        .zip(halves)
                        .for_each(|(weight, half)| *weight = half_to_float(half)),
                    _ => weights.iter_mut().zip(halves).for_each(|(weight, half)| *weight = upper_half(half)),
                }
            }
            Form::Q8 => {
                let mut bytes = [0; BLOCK];
                copy_bytes(numbers, &mut bytes);
                for (weight, byte) in weights.iter_mut().zip(bytes) {
                    *weight = f32::from(byte as i8) * scale + minimum;
                }
            }
            Form::Q4 => {
                let mut bytes = [0; BLOCK / 2];
                copy_bytes(numbers, &mut bytes);
                let (lower, upper) = weights.split_at_mut(BLOCK / 2);
                for ((lower, upper), byte) in lower.iter_mut().zip(upper).zip(bytes) {
                    *lower = f32::from(byte & 15) * scale + minimum;
                    *upper = f32::from(byte >> 4) * scale + minimum;
                }
            }
        }
    }
}

fn copy_bytes(words: &[i32], bytes: &mut [u8]) {
    for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *four = word.to_le_bytes();
    }
}

/// An IEEE 754 half, by arithmetic that is the same for all of them: read as a float it is 2^112 times too small.
fn half_to_float(half: u16) -> f32 {
    const LARGEST_EXPONENT: u32 = 0x7c00;
    let (sign, rest) = (u32::from(half & 0x8000) << 16, u32::from(half & 0x7fff));
    let number = f32::from_bits(rest << 13) * f32::from_bits((127 + 112) << 23);
    // Infinities and what is no number.
    let beyond = if rest >= LARGEST_EXPONENT { 0x7f80_0000 } else { 0 };
    f32::from_bits(number.to_bits() | sign | beyond)
}

fn upper_half(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

impl Blocks {
    /// # Panics
    /// When the blocks are not as many as the shape has.
    pub fn new(host: HostBlocks, shape: [usize; 2], device: &Device) -> Blocks {
        let count = shape[0] * shape[1] / BLOCK * host.form.words();
        assert_eq!(host.words.len(), count);
        let words = persistent(device, TensorData::new(host.words, [count]), |words| {
            Tensor::from_data(words, (device, DType::I32))
        });
        Blocks { form: host.form, shape, words }
    }

    /// The weights as numbers: `[out, in]`.
    pub fn expand(&self) -> Tensor<2> {
        let is_autodiff = self.words.is_autodiff();
        let ([out, input], words) = (self.shape, self.words.clone().inner().into_dispatch());
        let dense = Tensor::from_dispatch(<Dispatch as Expand>::expand(words, self.form, out, input));
        if is_autodiff { dense.autodiff() } else { dense }
    }

    /// `count` rows from `first` on.
    fn rows(&self, first: usize, count: usize) -> Blocks {
        let words = self.words_per_row();
        let some = self.words.clone().narrow(0, first * words, count * words);
        Blocks { form: self.form, shape: [count, self.shape[1]], words: some }
    }

    /// The rows of these indices.
    fn select(&self, indices: Tensor<1, Int>) -> Blocks {
        let ([rows, input], words, [count]) = (self.shape, self.words_per_row(), indices.dims());
        let picked = self.words.clone().reshape([rows, words]).select(0, indices);
        Blocks { form: self.form, shape: [count, input], words: picked.reshape([count * words]) }
    }

    /// Words of a row.
    fn words_per_row(&self) -> usize {
        self.shape[1] / BLOCK * self.form.words()
    }

    /// For an operation that takes them as they are.
    pub(super) fn words(&self) -> Tensor<1, Int> {
        self.words.clone()
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
            Matrix::Blocks(blocks) => blocks.words.device(),
        }
    }

    /// The weights as numbers: `[out, in]`; of blocks a new tensor.
    pub fn dense(&self) -> Tensor<2> {
        match self {
            Matrix::Dense(weight) => weight.clone(),
            Matrix::Blocks(blocks) => blocks.expand(),
        }
    }

    /// `count` rows from `first` on.
    pub fn part(&self, first: usize, count: usize) -> Matrix {
        match self {
            Matrix::Dense(weight) => Matrix::Dense(weight.clone().narrow(0, first, count)),
            Matrix::Blocks(blocks) => Matrix::Blocks(blocks.rows(first, count)),
        }
    }

    /// `count` rows from `first` on, as numbers: `[count, in]`.
    pub fn rows(&self, first: usize, count: usize) -> Tensor<2> {
        self.part(first, count).dense()
    }

    /// The rows of these indices, as numbers: `[indices, in]`.
    pub fn select(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Matrix::Dense(weight) => weight.clone().select(0, indices),
            Matrix::Blocks(blocks) => blocks.select(indices).expand(),
        }
    }

    /// On the device.
    pub fn bytes(&self) -> u64 {
        let [out, input] = self.dims().map(|size| size as u64);
        match self {
            Matrix::Dense(_) => out * input * 4,
            Matrix::Blocks(blocks) => out * input / BLOCK as u64 * blocks.form.words() as u64 * 4,
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
            Matrix::Blocks(blocks) => Matrix::Blocks(Blocks { words: blocks.words.inner(), ..blocks }),
        }
    }

    /// The same within autodiff, where it gets no gradient.
    pub fn autodiff(self) -> Matrix {
        match self {
            Matrix::Dense(weight) => Matrix::Dense(weight.autodiff()),
            Matrix::Blocks(blocks) => Matrix::Blocks(Blocks { words: blocks.words.autodiff(), ..blocks }),
        }
    }
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Expand: Backend {
    /// - words: `[out * in / 32 * words of a block]`
    /// - output: `[out, in]`
    fn expand(words: IntTensor<Self>, form: Form, out: usize, input: usize) -> FloatTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Expand for burn::backend::Wgpu {
    fn expand(words: IntTensor<Self>, form: Form, out: usize, input: usize) -> FloatTensor<Self> {
        super::gpu::blocks::expand(&words, form, out, input)
    }
}

impl Expand for Flex {
    fn expand(words: IntTensor<Self>, form: Form, out: usize, input: usize) -> FloatTensor<Self> {
        let mut values = vec![0.0; out * input];
        expand_rows(&words, form, input, 0, &mut values);
        Flex::float_from_data(TensorData::new(values, [out, input]), &Default::default())
    }
}

/// Whole rows from `first` on, as many as fill `values`.
pub(super) fn expand_rows(
    words: &IntTensor<Flex>,
    form: Form,
    input: usize,
    first: usize,
    values: &mut [f32],
) {
    // It may be a part of a larger matrix.
    assert!(words.is_contiguous());
    let start = words.layout().start_offset() + first * (input / BLOCK) * form.words();
    let words = words.storage::<i32>()[start..].chunks_exact(form.words());
    for (block, words) in values.as_chunks_mut::<BLOCK>().0.iter_mut().zip(words) {
        form.decode(words, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    /// Two blocks of a form whose numbers are these bytes, as numbers.
    fn expanded(form: Form, scales: [[f32; 2]; 2], bytes: &[u8]) -> Vec<f32> {
        let mut words = Vec::new();
        for (scales, numbers) in scales.iter().zip(bytes.chunks_exact(form.number_words() * 4)) {
            words.extend(scales.iter().take(form.head_words()).map(|scale| scale.to_bits() as i32));
            words.extend(numbers.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word)));
        }
        let blocks = Blocks::new(HostBlocks { form, words }, [2, 32], &Device::flex());
        blocks.expand().to_data().iter::<f32>().collect()
    }

    #[test]
    fn weights_are_scale_times_number_plus_minimum() {
        let scales = [[0.5, -1.0], [2.0, 3.0]];
        let bytes: Vec<u8> = (0..64).map(|i| (i * 37 + 200) as u8).collect();
        let eight = expanded(Form::Q8, scales, &bytes);
        for (i, (value, &byte)) in eight.iter().zip(&bytes).enumerate() {
            let [scale, minimum] = scales[i / 32];
            assert_eq!(*value, f32::from(byte as i8) * scale + minimum);
        }
        for (i, value) in expanded(Form::Q4, scales, &bytes[..32]).iter().enumerate() {
            let ([scale, minimum], at) = (scales[i / 32], i % 32);
            let byte = bytes[i / 32 * 16 + at % 16];
            let number = if at < 16 { byte & 15 } else { byte >> 4 };
            assert_eq!(*value, f32::from(number) * scale + minimum);
        }
    }

    #[test]
    fn floats_of_sixteen_bits_keep_their_values() {
        // Every half there is: numbers of all sizes, infinities and what is no number.
        for half in 0..=u16::MAX {
            let (ours, expected) = (half_to_float(half), f16::from_bits(half).to_f32());
            assert!(
                ours.to_bits() == expected.to_bits() || ours.is_nan() && expected.is_nan(),
                "{half:#06x}"
            );
        }
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin() * 2f32.powi(i - 40)).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let halves: Vec<f32> = values.iter().map(|x| f16::from_f32(*x).to_f32()).collect();
        assert_eq!(expanded(Form::F16, [[0.0; 2]; 2], &bytes), halves);
        let bytes: Vec<u8> = values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        let upper: Vec<f32> = values.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
        assert_eq!(expanded(Form::Bf16, [[0.0; 2]; 2], &bytes), upper);
    }
}
