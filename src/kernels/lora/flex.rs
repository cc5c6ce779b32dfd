//! The browser's CPU: each product goes where its result belongs, so that nothing is copied or added afterwards.

use super::{Layers, Stored, gemv};
use crate::kernels::blocks::expand_rows;
use crate::kernels::contiguous;
use crate::kernels::gemm::{Matrix, NR, Packed, gemm, gemm_into};
use crate::kernels::matmul::{FEW, Matmul, nth};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;

pub(super) fn forward(
    x: &FloatTensor<Flex>,
    layers: &Layers<Flex>,
    residual: Option<FloatTensor<Flex>>,
) -> [FloatTensor<Flex>; 2] {
    let (tokens, input) = (x.shape()[0], x.shape()[1]);
    let (width, low_width) = (width(layers), layers.ranks.iter().sum());
    let mut output = vec![0.0; tokens * width];
    let mut low = vec![0.0; tokens * low_width];
    let lora = contiguous(layers.lora.clone());
    let x = Packed::new(&nth(x, 0));
    let mut at = Place::default();
    for (weight, &rank) in layers.weights.iter().zip(&layers.ranks) {
        let [out, _] = weight.dims();
        let own = &mut output[at.column..];
        each_part(weight, |first, rows| x.gemm_into(&rows.transposed(), &mut own[first..], width, false));
        if rank > 0 {
            let [lora_a, lora_b] = at.path(lora.storage(), rank, input, out);
            x.gemm_into(&lora_a.transposed(), &mut low[at.low..], low_width, false);
            for line in low.chunks_exact_mut(low_width) {
                line[at.low..][..rank].iter_mut().for_each(|value| *value *= layers.scale);
            }
            gemm_into(&columns(&low, low_width, at.low, rank), &lora_b.transposed(), own, width, true);
        }
        at.advance(rank, input, out);
    }
    // Last, as where no adapter is: one that changes nothing gives exactly the base's numbers.
    if let Some(residual) = residual {
        let residual = contiguous(residual);
        output.iter_mut().zip(residual.storage::<f32>()).for_each(|(value, residual)| *value += residual);
    }
    [tensor(output, &[tokens, width]), tensor(low, &[tokens, low_width])]
}

pub(super) fn backward(
    x: &FloatTensor<Flex>,
    layers: &Layers<Flex>,
    low: &FloatTensor<Flex>,
    grad: &FloatTensor<Flex>,
    wants_x: bool,
) -> (Option<FloatTensor<Flex>>, FloatTensor<Flex>) {
    let (tokens, input) = (x.shape()[0], x.shape()[1]);
    let (width, low_width) = (width(layers), layers.ranks.iter().sum::<usize>());
    let [lora, low, grad] = [&layers.lora, low, grad].map(|tensor| contiguous(tensor.clone()));
    let mut for_x = vec![0.0; if wants_x { tokens * input } else { 0 }];
    let mut for_lora = vec![0.0; if layers.has_paths() { lora.storage::<f32>().len() } else { 0 }];
    let mut low_grad = vec![0.0; tokens * low_width];
    let mut turned = vec![0.0; layers.ranks.iter().max().unwrap_or(&0) * width];
    let x = nth(x, 0);
    let mut at = Place::default();
    for (i, (weight, &rank)) in layers.weights.iter().zip(&layers.ranks).enumerate() {
        let [out, _] = weight.dims();
        let grad = columns(grad.storage(), width, at.column, out);
        let packed = Packed::new(&grad);
        if wants_x {
            each_part(weight, |first, rows| {
                let add = i + first > 0;
                match rows.rows == out {
                    true => packed.gemm_into(rows, &mut for_x, input, add),
                    false => gemm_into(&grad.some_columns(first, rows.rows), rows, &mut for_x, input, add),
                }
            });
        }
        if rank > 0 {
            let [lora_a, lora_b] = at.path(lora.storage(), rank, input, out);
            packed.gemm_into(&lora_b, &mut low_grad[at.low..], low_width, false);
            for line in low_grad.chunks_exact_mut(low_width) {
                line[at.low..][..rank].iter_mut().for_each(|value| *value *= layers.scale);
            }
            let low_grad = columns(&low_grad, low_width, at.low, rank);
            let low = columns(low.storage(), low_width, at.low, rank);
            let (for_a, for_b) = for_lora[at.lora..].split_at_mut(rank * input);
            gemm_into(&low_grad.transposed(), &x, for_a, input, false);
            // Turned, since the wide factor is packed faster in the order that it lies in.
            gemm(&low.transposed(), &grad, &mut turned[..rank * out]);
            for (i, row) in turned[..rank * out].chunks_exact(out).enumerate() {
                for_b[i..].iter_mut().step_by(rank).zip(row).for_each(|(place, value)| *place = *value);
            }
            if wants_x {
                gemm_into(&low_grad, &lora_a, &mut for_x, input, true);
            }
        }
        at.advance(rank, input, out);
    }
    let total = for_lora.len();
    (wants_x.then(|| tensor(for_x, &[tokens, input])), tensor(for_lora, &[total]))
}

/// Where a layer begins: in the output, among the low-rank columns and in `lora`.
#[derive(Default)]
struct Place {
    column: usize,
    low: usize,
    lora: usize,
}

impl Place {
    /// A and B of the layer here.
    fn path<'a>(&self, lora: &'a [f32], rank: usize, input: usize, out: usize) -> [Matrix<'a>; 2] {
        let lora_b = self.lora + rank * input;
        [matrix(lora, self.lora, rank, input), matrix(lora, lora_b, out, rank)]
    }

    fn advance(&mut self, rank: usize, input: usize, out: usize) {
        self.column += out;
        self.low += rank;
        self.lora += rank * (input + out);
    }
}

/// `x·Wᵀ` where [`forward`] is not for it. A few rows are bound by the memory that the weight is read from, so that its blocks
/// are multiplied as they lie.
pub(super) fn times(x: &FloatTensor<Flex>, weight: &Stored<Flex>) -> FloatTensor<Flex> {
    let (words, form, [out, input]) = match weight {
        Stored::Blocks { words, form, shape } if x.shape()[0] < FEW => (words, form, shape),
        _ => return Flex::product(x.clone(), Flex::float_transpose(weight.dense())),
    };
    // It may be a part of a larger matrix.
    assert!(words.is_contiguous());
    let words = &words.storage::<i32>()[words.layout().start_offset()..];
    let output = gemv::times(contiguous(x.clone()).storage(), words, *form, [*out, *input]);
    tensor(output, &[x.shape()[0], *out])
}

/// Some rows of a weight after the other as numbers, with the first one's place: all that there are, or of blocks as many as stay in a
/// core's caches.
fn each_part(weight: &Stored<Flex>, mut take: impl FnMut(usize, &Matrix)) {
    /// Numbers.
    const MOST: usize = 1 << 18;
    match weight {
        Stored::Dense(weight) => take(0, &nth(weight, 0)),
        Stored::Blocks { words, form, shape: [out, input] } => {
            let rows = (MOST / input).next_multiple_of(NR).min(*out);
            let mut values = vec![0.0; rows * input];
            for first in (0..*out).step_by(rows) {
                let count = rows.min(out - first);
                let values = &mut values[..count * input];
                expand_rows(words, *form, *input, first, values);
                take(first, &matrix(values, 0, count, *input));
            }
        }
    }
}

fn width(layers: &Layers<Flex>) -> usize {
    layers.weights.iter().map(|weight| weight.dims()[0]).sum()
}

fn matrix(data: &[f32], offset: usize, rows: usize, columns: usize) -> Matrix<'_> {
    Matrix { data, offset, rows, columns, row_stride: columns, column_stride: 1 }
}

/// Some columns of a matrix that lies row by row.
fn columns(data: &[f32], width: usize, first: usize, count: usize) -> Matrix<'_> {
    Matrix {
        data,
        offset: first,
        rows: data.len() / width,
        columns: count,
        row_stride: width,
        column_stride: 1,
    }
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(values, shape.to_vec()), &Default::default())
}
