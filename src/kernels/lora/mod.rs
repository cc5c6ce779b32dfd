//! Frozen linear layers of one input with low-rank paths beside them (<https://arxiv.org/abs/2106.09685>), one operation
//! each way.

mod flex;
mod plain;

use super::blocks::{Blocks, Expand, Form, Matrix};
use super::matmul::Matmul;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
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

impl<B: LoraKernels, C: CheckpointStrategy> Lora for Autodiff<B, C> {
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
        let weights = [w0, w1, w2].map(|weight| Stored::Dense(weight.into_primitive()));
        let layers = Layers::new(weights, lora.primitive().clone(), ranks, scale);
        tracked::<B, C>(x, lora, layers, residual, has_residual)
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
        let scales = [s0, s1, s2].map(|scales| scales.into_primitive());
        let weights = Stored::blocks([q0, q1, q2], scales, &forms);
        let layers = Layers::new(weights, lora.primitive().clone(), ranks, scale);
        tracked::<B, C>(x, lora, layers, residual, has_residual)
    }
}

fn tracked<B: LoraKernels, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    lora: FloatTensor<Autodiff<B, C>>,
    layers: Layers<B>,
    residual: FloatTensor<Autodiff<B, C>>,
    has_residual: bool,
) -> FloatTensor<Autodiff<B, C>> {
    #[derive(Debug)]
    struct LoraLinears;

    #[derive(Debug, Clone)]
    struct State<B: Backend> {
        x: FloatTensor<B>,
        layers: Layers<B>,
        /// `scale·x·Aᵀ`: `[tokens, Σ rank]`
        low: FloatTensor<B>,
        has_residual: bool,
    }

    impl<B: LoraKernels> Backward<B, 3> for LoraLinears {
        type State = State<B>;

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
            let State { x, layers, low, has_residual } = ops.state;
            let grad = grads.consume::<B>(&ops.node);
            let [for_x, for_lora, for_residual] = ops.parents;
            let (x_grad, lora_grad) = B::backward(&x, &layers, &low, &grad, for_x.is_some());
            if let Some((parent, grad)) = for_x.zip(x_grad) {
                grads.register::<B>(parent.id, grad);
            }
            if let Some(parent) = for_lora {
                grads.register::<B>(parent.id, lora_grad);
            }
            if let Some(parent) = for_residual.filter(|_| has_residual) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }

    let nodes = [x.node(), lora.node(), residual.node()];
    let (x, residual) = (x.into_primitive(), residual.into_primitive());
    let [output, low] = B::forward(&x, &layers, has_residual.then_some(residual));
    match LoraLinears.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(State { x, layers, low, has_residual }, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    /// Two adapted layers around one that is not, of odd sizes.
    const OUT: [usize; 3] = [5, 3, 8];
    const RANKS: [usize; 3] = [2, 0, 2];
    const INPUT: usize = 7;
    const TOKENS: usize = 9;

    fn stock(x: Tensor<2>, weights: Vec<Tensor<2>>, lora: Tensor<1>, residual: Tensor<2>) -> Tensor<2> {
        let mut at = 0;
        let mut matrix = |rows: usize, columns: usize| {
            at += rows * columns;
            lora.clone().narrow(0, at - rows * columns, rows * columns).reshape([rows, columns])
        };
        let layers = weights.into_iter().zip(RANKS).map(|(weight, rank)| {
            let [out, input] = weight.dims();
            let base = x.clone().matmul(weight.transpose());
            if rank == 0 {
                return base;
            }
            let (a, b) = (matrix(rank, input), matrix(out, rank));
            base + x.clone().matmul(a.transpose()).matmul(b.transpose()) * 1.7
        });
        Tensor::cat(layers.collect(), 1) + residual
    }

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let total: usize = OUT.iter().zip(RANKS).map(|(out, rank)| rank * (INPUT + out)).sum();
        let (x, lora) = (random([TOKENS, INPUT], 1, &device), random([total], 2, &device));
        let residual = random([TOKENS, 16], 3, &device);
        let weights: Vec<Tensor<2>> =
            OUT.iter().map(|&out| random([out, INPUT], 4 + out as u64, &device)).collect();
        let target = random([TOKENS, 16], 5, &device);
        let run = |ours: bool| {
            let [x, residual] = [&x, &residual].map(|leaf| leaf.clone().autodiff().require_grad());
            let lora = lora.clone().autodiff().require_grad();
            let (weights, ranks) = (weights.clone(), RANKS.to_vec());
            let y = match ours {
                true => {
                    let weights: Vec<Matrix> = weights.into_iter().map(Matrix::Dense).collect();
                    let weights: Vec<&Matrix> = weights.iter().collect();
                    lora_linears(x.clone(), &weights, lora.clone(), Some(residual.clone()), ranks, 1.7)
                }
                false => stock(
                    x.clone(),
                    weights.into_iter().map(Tensor::autodiff).collect(),
                    lora.clone(),
                    residual.clone(),
                ),
            };
            let gradients = (y.clone() * target.clone()).sum().backward();
            let of_lora = lora.grad(&gradients).unwrap().unsqueeze();
            [y.inner(), x.grad(&gradients).unwrap(), residual.grad(&gradients).unwrap(), of_lora]
        };
        for (ours, stock) in run(true).into_iter().zip(run(false)) {
            close(ours, stock, 1e-5);
        }
        let matrices: Vec<Matrix> = weights.iter().cloned().map(Matrix::Dense).collect();
        let matrices: Vec<&Matrix> = matrices.iter().collect();
        let plain = lora_linears(x.clone(), &matrices, lora.clone(), None, RANKS.to_vec(), 1.7);
        close(plain, stock(x, weights, lora, residual.zeros_like()), 1e-5);
    }

    /// The browser's way, which elsewhere is not taken.
    #[test]
    fn packed_products_give_the_plain_values_and_gradients() {
        use burn::backend::ops::FloatTensorOps;
        use burn::tensor::TensorData;
        let tensor = |shape: &[usize], seed: usize| {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|i| ((i * 7 + seed * 3) as f32 * 0.61).sin()).collect();
            Flex::float_from_data(TensorData::new(values, shape.to_vec()), &Default::default())
        };
        let total: usize = OUT.iter().zip(RANKS).map(|(out, rank)| rank * (INPUT + out)).sum();
        let layers = Layers::<Flex> {
            weights: OUT.iter().map(|&out| Stored::Dense(tensor(&[out, INPUT], out))).collect(),
            lora: tensor(&[total], 1),
            ranks: RANKS.to_vec(),
            scale: 1.7,
        };
        let (x, grad, residual) =
            (tensor(&[TOKENS, INPUT], 2), tensor(&[TOKENS, 16], 3), tensor(&[TOKENS, 16], 4));
        let values = |tensor: FloatTensor<Flex>| tensor.to_contiguous().storage::<f32>().to_vec();
        let same = |a: FloatTensor<Flex>, b: FloatTensor<Flex>| {
            let (a, b) = (values(a), values(b));
            assert_eq!(a.len(), b.len());
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?}\n{b:?}");
        };
        let [output, low] = flex::forward(&x, &layers, Some(residual.clone()));
        let [plain_output, plain_low] = plain::forward::<Flex>(&x, &layers, Some(residual));
        same(output, plain_output);
        same(low.clone(), plain_low);
        let (for_x, for_lora) = flex::backward(&x, &layers, &low, &grad, true);
        let (plain_x, plain_lora) = plain::backward::<Flex>(&x, &layers, &low, &grad, true);
        same(for_x.unwrap(), plain_x.unwrap());
        same(for_lora, plain_lora);
    }
}
