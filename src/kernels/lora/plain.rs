//! The plain form, of burn's stock operations: what the kernels must agree with, and where none suits, what is computed.

use super::{Layers, LoraKernels, Stored};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Slice;

/// The columns of one layer in the output and among the low-rank columns, with its weight, A and B.
struct Layer<'a, B: Backend> {
    columns: Slice,
    low_columns: Slice,
    weight: &'a Stored<B>,
    path: Option<[FloatTensor<B>; 2]>,
}

pub(super) fn forward<B: LoraKernels>(
    x: &FloatTensor<B>,
    layers: &Layers<B>,
    residual: Option<FloatTensor<B>>,
) -> [FloatTensor<B>; 2] {
    let (mut outputs, mut lows) = (Vec::new(), Vec::new());
    for layer in each(layers) {
        let base = B::times(x, layer.weight);
        outputs.push(match layer.path {
            None => base,
            Some([lora_a, lora_b]) => {
                let low = B::product(x.clone(), B::float_transpose(lora_a));
                let low = B::float_mul_scalar(low, layers.scale.into());
                lows.push(low.clone());
                B::float_add(base, B::product(low, B::float_transpose(lora_b)))
            }
        });
    }
    let output = B::float_cat(outputs, 1);
    let output = match residual {
        Some(residual) => B::float_add(output, residual),
        None => output,
    };
    let low = if layers.has_paths() { B::float_cat(lows, 1) } else { x.clone() };
    [output, low]
}

pub(super) fn backward<B: LoraKernels>(
    x: &FloatTensor<B>,
    layers: &Layers<B>,
    low: &FloatTensor<B>,
    grad: &FloatTensor<B>,
    wants_x: bool,
) -> (Option<FloatTensor<B>>, FloatTensor<B>) {
    let mut for_x: Option<FloatTensor<B>> = None;
    let mut add_for_x = |part: FloatTensor<B>| {
        for_x = Some(match for_x.take() {
            None => part,
            Some(sum) => B::float_add(sum, part),
        });
    };
    let mut for_lora = Vec::new();
    let flat = |x: FloatTensor<B>| {
        let count = x.shape().num_elements();
        B::float_reshape(x, [count].into())
    };
    for layer in each(layers) {
        let grad = B::float_slice(grad.clone(), &[Slice::from(..), layer.columns]);
        if let Some([lora_a, lora_b]) = layer.path {
            // The gradient of x·Aᵀ: [tokens, rank]
            let low_grad = B::float_mul_scalar(B::product(grad.clone(), lora_b), layers.scale.into());
            let low = B::float_slice(low.clone(), &[Slice::from(..), layer.low_columns]);
            for_lora.push(flat(B::product(B::float_transpose(low_grad.clone()), x.clone())));
            for_lora.push(flat(B::product(B::float_transpose(grad.clone()), low)));
            if wants_x {
                add_for_x(B::product(low_grad, lora_a));
            }
        }
        if wants_x {
            add_for_x(B::product(grad, layer.weight.dense()));
        }
    }
    let for_lora = if layers.has_paths() { B::float_cat(for_lora, 0) } else { layers.lora.clone() };
    (for_x, for_lora)
}

fn each<'a, B: Backend>(layers: &'a Layers<B>) -> Vec<Layer<'a, B>> {
    let (mut column, mut low_column, mut at) = (0, 0, 0);
    let mut matrix = |rows: usize, columns: usize| {
        let values = B::float_slice(layers.lora.clone(), &[Slice::from(at..at + rows * columns)]);
        at += rows * columns;
        B::float_reshape(values, [rows, columns].into())
    };
    let of = |(weight, &rank): (&'a Stored<B>, &usize)| {
        let [out, input] = weight.dims();
        column += out;
        low_column += rank;
        Layer {
            columns: Slice::from(column - out..column),
            low_columns: Slice::from(low_column - rank..low_column),
            weight,
            path: (rank > 0).then(|| [matrix(rank, input), matrix(out, rank)]),
        }
    };
    layers.weights.iter().zip(&layers.ranks).map(of).collect()
}
