//! Frozen linear layers of one input with low-rank paths beside them (<https://arxiv.org/abs/2106.09685>), one operation
//! each way. The weights are taken as they are stored.

mod autodiff;
mod flex;
mod gemv;
mod plain;

use super::blocks::{Blocks, Expand, Form, Matrix};
use super::matmul::{Matmul, matmul};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

/// `x·Wᵀ + scale·(x·Aᵀ)·Bᵀ` of each layer, side by side, and the residual added; differentiable in x, in A and B, and in the
/// residual. The weights get no gradient. With `fp16`, `x·Wᵀ` is of factors rounded to 16 bits where the device has such
/// arithmetic.
///
/// # Shapes
/// - x: `[tokens, in]`
/// - weights: `[out, in]` each
/// - lora: `[Σ rank·in + out·rank]`: of each layer with a low-rank path its A, `[rank, in]`, then its B, `[out, rank]`; `None`
///   where no layer has one
/// - ranks: one a layer, 0 for a layer without a low-rank path
/// - residual, output: `[tokens, Σ out]`
pub fn lora_linears(
    x: Tensor<2>,
    weights: &[&Matrix],
    lora: Option<Tensor<1>>,
    residual: Option<Tensor<2>>,
    ranks: Vec<usize>,
    scale: f64,
    fp16: bool,
) -> Tensor<2> {
    assert!((1..=3).contains(&weights.len()), "one to three layers share an input");
    assert_eq!(lora.is_some(), ranks.iter().any(|&rank| rank > 0));
    let has_residual = residual.is_some();
    // What is not there crosses to the device as x, which is there anyway.
    let x = x.into_dispatch();
    let lora = lora.map_or_else(|| x.clone(), Tensor::into_dispatch);
    let residual = residual.map_or_else(|| x.clone(), Tensor::into_dispatch);
    let scale = scale as f32;
    let in_blocks = weights.iter().map(|weight| match weight {
        Matrix::Blocks(blocks) => Some(blocks),
        Matrix::Dense(_) => None,
    });
    let output = match in_blocks.collect::<Option<Vec<&Blocks>>>() {
        Some(blocks) => {
            let forms = blocks.iter().map(|blocks| (blocks.form, blocks.shape)).collect();
            let [q0, q1, q2] = [0, 1, 2].map(|i| blocks.get(i).unwrap_or(&blocks[0]).words().into_dispatch());
            <Dispatch as Lora>::lora_linears_in_blocks(
                x,
                q0,
                q1,
                q2,
                forms,
                lora,
                residual,
                has_residual,
                ranks,
                scale,
                fp16,
            )
        }
        None => {
            let [w0, w1, w2] =
                [0, 1, 2].map(|i| weights.get(i).unwrap_or(&weights[0]).dense().into_dispatch());
            <Dispatch as Lora>::lora_linears(x, w0, w1, w2, lora, residual, has_residual, ranks, scale, fp16)
        }
    };
    Tensor::from_dispatch(output)
}

/// `x·Wᵀ`, differentiable in x, and in W where it is trained. `fp16` as for [`lora_linears`].
///
/// # Shapes
/// - x: `[tokens, in]`
/// - weight: `[out, in]`
/// - output: `[tokens, out]`
pub fn times(x: Tensor<2>, weight: &Matrix, fp16: bool) -> Tensor<2> {
    match weight {
        Matrix::Dense(numbers) if !fp16 || weight.is_trained() => matmul(x, numbers.clone().transpose()),
        _ => lora_linears(x, &[weight], None, None, vec![0], 1.0, fp16),
    }
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Lora: Backend {
    /// As many weights count as there are ranks, and the residual if there is one.
    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
        fp16: bool,
    ) -> FloatTensor<Self>;

    /// The same with weights in blocks, of the given forms and shapes.
    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears_in_blocks(
        x: FloatTensor<Self>,
        q0: IntTensor<Self>,
        q1: IntTensor<Self>,
        q2: IntTensor<Self>,
        forms: Vec<(Form, [usize; 2])>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
        fp16: bool,
    ) -> FloatTensor<Self>;
}

/// Both directions on one kind of device.
trait LoraKernels: Matmul + Expand {
    /// `x·Wᵀ`, where the products are not one operation.
    fn times(x: &FloatTensor<Self>, weight: &Stored<Self>) -> FloatTensor<Self> {
        Self::product(x.clone(), Self::float_transpose(weight.dense()))
    }

    /// The output, and `scale·x·Aᵀ` of the layers side by side, `[tokens, Σ rank]`; no layer with a low-rank path leaves
    /// something in its place.
    fn forward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        residual: Option<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2] {
        plain::forward::<Self>(x, layers, residual)
    }

    /// The gradients for x, unless it is not wanted, and for `lora`.
    fn backward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        low: &FloatTensor<Self>,
        grad: &FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, FloatTensor<Self>) {
        plain::backward::<Self>(x, layers, low, grad, wants_x)
    }
}

/// What the layers compute with, as [`lora_linears`] takes it.
#[derive(Debug, Clone)]
struct Layers<B: Backend> {
    weights: Vec<Stored<B>>,
    lora: FloatTensor<B>,
    ranks: Vec<usize>,
    scale: f32,
    #[cfg_attr(
        not(any(target_arch = "wasm32", feature = "vulkan")),
        expect(dead_code, reason = "a CPU has no 16-bit arithmetic")
    )]
    fp16: bool,
}

/// A weight as it lies on the device.
#[derive(Debug, Clone)]
pub(super) enum Stored<B: Backend> {
    Dense(FloatTensor<B>),
    Blocks { words: IntTensor<B>, form: Form, shape: [usize; 2] },
}

impl<B: Backend> Layers<B> {
    fn new(weights: [Stored<B>; 3], lora: FloatTensor<B>, ranks: Vec<usize>, scale: f32, fp16: bool) -> Self {
        Layers { weights: weights.into_iter().take(ranks.len()).collect(), lora, ranks, scale, fp16 }
    }

    fn has_paths(&self) -> bool {
        self.ranks.iter().any(|&rank| rank > 0)
    }
}

impl<B: Backend> Stored<B> {
    fn blocks(words: [IntTensor<B>; 3], forms: &[(Form, [usize; 2])]) -> [Stored<B>; 3] {
        let mut forms = forms.iter().chain([&forms[0]; 2]);
        words.map(|words| {
            let &(form, shape) = forms.next().expect("as many as there are weights");
            Stored::Blocks { words, form, shape }
        })
    }

    /// `[out, in]`
    pub(super) fn dims(&self) -> [usize; 2] {
        match self {
            Stored::Dense(weight) => [weight.shape()[0], weight.shape()[1]],
            Stored::Blocks { shape, .. } => *shape,
        }
    }
}

impl<B: Expand> Stored<B> {
    /// The weight as numbers, `[out, in]`; of blocks a new tensor.
    fn dense(&self) -> FloatTensor<B> {
        match self {
            Stored::Dense(weight) => weight.clone(),
            Stored::Blocks { words, form, shape: [out, input] } => {
                B::expand(words.clone(), *form, *out, *input)
            }
        }
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl LoraKernels for burn::backend::Wgpu {
    fn forward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        residual: Option<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2] {
        let Layers { weights, lora, ranks, scale, fp16 } = layers;
        super::gpu::lora::forward(x, weights, lora, residual.as_ref(), ranks, *scale, *fp16)
            .unwrap_or_else(|| plain::forward::<Self>(x, layers, residual))
    }

    fn backward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        low: &FloatTensor<Self>,
        grad: &FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, FloatTensor<Self>) {
        let Layers { weights, lora, ranks, scale, .. } = layers;
        super::gpu::lora::backward(x, weights, lora, low, grad, ranks, *scale, wants_x)
            .unwrap_or_else(|| plain::backward::<Self>(x, layers, low, grad, wants_x))
    }
}

impl LoraKernels for Flex {
    fn times(x: &FloatTensor<Self>, weight: &Stored<Self>) -> FloatTensor<Self> {
        flex::times(x, weight)
    }

    fn forward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        residual: Option<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2] {
        if super::matmul::suits_gemm(x) {
            flex::forward(x, layers, residual)
        } else {
            plain::forward::<Self>(x, layers, residual)
        }
    }

    fn backward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        low: &FloatTensor<Self>,
        grad: &FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, FloatTensor<Self>) {
        if super::matmul::suits_gemm(x) {
            flex::backward(x, layers, low, grad, wants_x)
        } else {
            plain::backward::<Self>(x, layers, low, grad, wants_x)
        }
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Lora for burn::backend::Wgpu {
    fn lora_linears(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
        fp16: bool,
    ) -> FloatTensor<Self> {
        let layers = Layers::new([w0, w1, w2].map(Stored::Dense), lora, ranks, scale, fp16);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }

    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears_in_blocks(
        x: FloatTensor<Self>,
        q0: IntTensor<Self>,
        q1: IntTensor<Self>,
        q2: IntTensor<Self>,
        forms: Vec<(Form, [usize; 2])>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
        fp16: bool,
    ) -> FloatTensor<Self> {
        let layers = Layers::new(Stored::blocks([q0, q1, q2], &forms), lora, ranks, scale, fp16);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }
}

impl Lora for Flex {
    fn lora_linears(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
        fp16: bool,
    ) -> FloatTensor<Self> {
        let layers = Layers::new([w0, w1, w2].map(Stored::Dense), lora, ranks, scale, fp16);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }

    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears_in_blocks(
        x: FloatTensor<Self>,
        q0: IntTensor<Self>,
        q1: IntTensor<Self>,
        q2: IntTensor<Self>,
        forms: Vec<(Form, [usize; 2])>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
        fp16: bool,
    ) -> FloatTensor<Self> {
        let layers = Layers::new(Stored::blocks([q0, q1, q2], &forms), lora, ranks, scale, fp16);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }
}

#[cfg(test)]
mod tests;
