//! Frozen linear layers of one input with low-rank paths beside them (<https://arxiv.org/abs/2106.09685>), one operation
//! each way.

mod autodiff;
mod flex;
mod plain;

use super::blocks::{Blocks, Expand, Form, Matrix};
use super::matmul::Matmul;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// `x·Wᵀ + scale·(x·Aᵀ)·Bᵀ` of each layer, side by side, and the residual added; differentiable in x, in A and B, and in the
/// residual. The weights get no gradient.
///
/// # Shapes
/// - x: `[tokens, in]`
/// - weights: `[out, in]` each
/// - lora: `[Σ rank·in + out·rank]`: of each layer with a low-rank path its A, `[rank, in]`, then its B, `[out, rank]`
/// - ranks: one a layer, 0 for a layer without a low-rank path
/// - residual, output: `[tokens, Σ out]`
pub fn lora_linears(
    x: Tensor<2>,
    weights: &[&Matrix],
    lora: Tensor<1>,
    residual: Option<Tensor<2>>,
    ranks: Vec<usize>,
    scale: f64,
) -> Tensor<2> {
    assert!((1..=3).contains(&weights.len()), "one to three layers share an input");
    let has_residual = residual.is_some();
    let (x, residual) = (x.clone().into_dispatch(), residual.unwrap_or(x).into_dispatch());
    let (lora, scale) = (lora.into_dispatch(), scale as f32);
    let in_blocks = weights.iter().map(|weight| match weight {
        Matrix::Blocks(blocks) => Some(blocks),
        Matrix::Dense(_) => None,
    });
    let output = match in_blocks.collect::<Option<Vec<&Blocks>>>() {
        Some(blocks) => {
            let forms = blocks.iter().map(|blocks| (blocks.form, blocks.shape)).collect();
            let [(q0, s0), (q1, s1), (q2, s2)] = [0, 1, 2].map(|i| {
                let (quants, scales) = blocks.get(i).unwrap_or(&blocks[0]).parts();
                (quants.into_dispatch(), scales.into_dispatch())
            });
            <Dispatch as Lora>::lora_linears_in_blocks(
                x,
                q0,
                q1,
                q2,
                s0,
                s1,
                s2,
                forms,
                lora,
                residual,
                has_residual,
                ranks,
                scale,
            )
        }
        None => {
            let [w0, w1, w2] =
                [0, 1, 2].map(|i| weights.get(i).unwrap_or(&weights[0]).dense().into_dispatch());
            <Dispatch as Lora>::lora_linears(x, w0, w1, w2, lora, residual, has_residual, ranks, scale)
        }
    };
    Tensor::from_dispatch(output)
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
    ) -> FloatTensor<Self>;

    /// The same with weights in blocks, of the given forms and shapes.
    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears_in_blocks(
        x: FloatTensor<Self>,
        q0: IntTensor<Self>,
        q1: IntTensor<Self>,
        q2: IntTensor<Self>,
        s0: FloatTensor<Self>,
        s1: FloatTensor<Self>,
        s2: FloatTensor<Self>,
        forms: Vec<(Form, [usize; 2])>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
    ) -> FloatTensor<Self>;
}

/// Both directions on one kind of device.
trait LoraKernels: Matmul + Expand {
    /// The output, and `scale·x·Aᵀ` of the layers side by side: `[tokens, Σ rank]`.
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
}

/// A weight as it lies on the device.
#[derive(Debug, Clone)]
enum Stored<B: Backend> {
    Dense(FloatTensor<B>),
    Blocks { quants: IntTensor<B>, scales: FloatTensor<B>, form: Form, shape: [usize; 2] },
}

impl<B: Backend> Layers<B> {
    fn new(weights: [Stored<B>; 3], lora: FloatTensor<B>, ranks: Vec<usize>, scale: f32) -> Self {
        Layers { weights: weights.into_iter().take(ranks.len()).collect(), lora, ranks, scale }
    }
}

impl<B: Expand> Layers<B> {
    /// The weights as numbers, which last as long as one pass through these layers.
    fn dense(&self) -> Vec<FloatTensor<B>> {
        let dense = |weight: &Stored<B>| match weight {
            Stored::Dense(weight) => weight.clone(),
            Stored::Blocks { quants, scales, form, shape: [out, input] } => {
                B::expand(quants.clone(), scales.clone(), *form, *out, *input)
            }
        };
        self.weights.iter().map(dense).collect()
    }
}

impl<B: Backend> Stored<B> {
    fn blocks(
        [q0, q1, q2]: [IntTensor<B>; 3],
        [s0, s1, s2]: [FloatTensor<B>; 3],
        forms: &[(Form, [usize; 2])],
    ) -> [Stored<B>; 3] {
        let blocks = |i: usize, quants, scales| {
            let (form, shape) = forms[i.min(forms.len() - 1)];
            Stored::Blocks { quants, scales, form, shape }
        };
        [blocks(0, q0, s0), blocks(1, q1, s1), blocks(2, q2, s2)]
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl LoraKernels for burn::backend::Wgpu {
    fn forward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        residual: Option<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2] {
        let Layers { lora, ranks, scale, .. } = layers;
        super::gpu::lora::forward(x, &layers.dense(), lora, residual.as_ref(), ranks, *scale)
            .unwrap_or_else(|| plain::forward::<Self>(x, layers, residual))
    }

    fn backward(
        x: &FloatTensor<Self>,
        layers: &Layers<Self>,
        low: &FloatTensor<Self>,
        grad: &FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, FloatTensor<Self>) {
        let Layers { lora, ranks, scale, .. } = layers;
        super::gpu::lora::backward(x, &layers.dense(), lora, low, grad, ranks, *scale, wants_x)
            .unwrap_or_else(|| plain::backward::<Self>(x, layers, low, grad, wants_x))
    }
}

impl LoraKernels for Flex {
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
    ) -> FloatTensor<Self> {
        let layers = Layers::new([w0, w1, w2].map(Stored::Dense), lora, ranks, scale);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }

    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears_in_blocks(
        x: FloatTensor<Self>,
        q0: IntTensor<Self>,
        q1: IntTensor<Self>,
        q2: IntTensor<Self>,
        s0: FloatTensor<Self>,
        s1: FloatTensor<Self>,
        s2: FloatTensor<Self>,
        forms: Vec<(Form, [usize; 2])>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let layers = Layers::new(Stored::blocks([q0, q1, q2], [s0, s1, s2], &forms), lora, ranks, scale);
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
    ) -> FloatTensor<Self> {
        let layers = Layers::new([w0, w1, w2].map(Stored::Dense), lora, ranks, scale);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }

    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn lora_linears_in_blocks(
        x: FloatTensor<Self>,
        q0: IntTensor<Self>,
        q1: IntTensor<Self>,
        q2: IntTensor<Self>,
        s0: FloatTensor<Self>,
        s1: FloatTensor<Self>,
        s2: FloatTensor<Self>,
        forms: Vec<(Form, [usize; 2])>,
        lora: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        has_residual: bool,
        ranks: Vec<usize>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let layers = Layers::new(Stored::blocks([q0, q1, q2], [s0, s1, s2], &forms), lora, ranks, scale);
        let [output, _] = Self::forward(&x, &layers, has_residual.then_some(residual));
        output
    }
}

#[cfg(test)]
mod tests;
