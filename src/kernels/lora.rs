//! A frozen linear layer with a low-rank path beside it (<https://arxiv.org/abs/2106.09685>), one operation each way.

use super::matmul::Matmul;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// `x·Wᵀ + scale·(x·Aᵀ)·Bᵀ`, differentiable in x, A and B; W gets no gradient.
///
/// # Shapes
/// - x: `[tokens, in]`
/// - weight: `[out, in]`
/// - lora_a: `[rank, in]`, lora_b: `[out, rank]`
/// - output: `[tokens, out]`
pub fn lora_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    lora_a: Tensor<2>,
    lora_b: Tensor<2>,
    scale: f64,
) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let (lora_a, lora_b) = (lora_a.into_dispatch(), lora_b.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Lora>::lora_linear(x, weight, lora_a, lora_b, scale as f32))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Lora: Matmul {
    fn lora_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lora_a: FloatTensor<Self>,
        lora_b: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let low = Self::scaled_product(x.clone(), Self::float_transpose(lora_a), scale); // [tokens, rank]
        Self::sum_of_products(x, Self::float_transpose(weight), low, Self::float_transpose(lora_b))
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Lora for burn::backend::Wgpu {}

impl Lora for Flex {}

impl<B: Lora, C: CheckpointStrategy> Lora for Autodiff<B, C> {
    fn lora_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lora_a: FloatTensor<Self>,
        lora_b: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct LoraLinear;

        #[derive(Debug, Clone)]
        struct State<B: Backend> {
            x: FloatTensor<B>,
            weight: FloatTensor<B>,
            lora_a: FloatTensor<B>,
            lora_b: FloatTensor<B>,
            /// `scale·x·Aᵀ`: `[tokens, rank]`
            low: FloatTensor<B>,
            scale: f32,
        }

        impl<B: Matmul> Backward<B, 3> for LoraLinear {
            type State = State<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let State { x, weight, lora_a, lora_b, low, scale } = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [for_x, for_a, for_b] = ops.parents;
                // The gradient of x·Aᵀ: [tokens, rank]
                let low_grad = B::scaled_product(grad.clone(), lora_b, scale);
                if let Some(parent) = for_a {
                    let grad = B::product(B::float_transpose(low_grad.clone()), x);
                    grads.register::<B>(parent.id, grad);
                }
                if let Some(parent) = for_b {
                    let grad = B::product(B::float_transpose(grad.clone()), low);
                    grads.register::<B>(parent.id, grad);
                }
                if let Some(parent) = for_x {
                    grads.register::<B>(parent.id, B::sum_of_products(grad, weight, low_grad, lora_a));
                }
            }
        }

        let nodes = [x.node(), lora_a.node(), lora_b.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let (lora_a, lora_b) = (lora_a.into_primitive(), lora_b.into_primitive());
        match LoraLinear.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let low = B::scaled_product(x.clone(), B::float_transpose(lora_a.clone()), scale);
                let output = B::sum_of_products(
                    x.clone(),
                    B::float_transpose(weight.clone()),
                    low.clone(),
                    B::float_transpose(lora_b.clone()),
                );
                prepared.finish(State { x, weight, lora_a, lora_b, low, scale }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::lora_linear(x, weight, lora_a, lora_b, scale)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    fn stock(x: Tensor<2>, weight: Tensor<2>, a: Tensor<2>, b: Tensor<2>, scale: f64) -> Tensor<2> {
        x.clone().matmul(weight.transpose()) + x.matmul(a.transpose()).matmul(b.transpose()) * scale
    }

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        for (tokens, rank) in [(9, 3), (3, 1)] {
            let shapes = [[tokens, 7], [rank, 7], [5, rank]];
            let leaves: Vec<_> = (0..3).map(|i| random(shapes[i], i as u64, &device)).collect();
            let weight = random([5, 7], 3, &device);
            let target = random([tokens, 5], 4, &device);
            type Layer = fn(Tensor<2>, Tensor<2>, Tensor<2>, Tensor<2>, f64) -> Tensor<2>;
            let run = |layer: Layer| {
                let leaves: Vec<_> =
                    leaves.iter().map(|leaf| leaf.clone().autodiff().require_grad()).collect();
                let y = layer(leaves[0].clone(), weight.clone(), leaves[1].clone(), leaves[2].clone(), 1.7);
                let gradients = (y.clone() * target.clone()).sum().backward();
                let gradients = leaves.iter().map(|leaf| leaf.grad(&gradients).unwrap());
                std::iter::once(y.inner()).chain(gradients).collect::<Vec<_>>()
            };
            for (ours, stock) in run(lora_linear).into_iter().zip(run(stock)) {
                close(ours, stock, 1e-5);
            }
            let [x, a, b] = [0, 1, 2].map(|i| leaves[i].clone());
            let plain = lora_linear(x.clone(), weight.clone(), a.clone(), b.clone(), 0.5);
            close(plain, stock(x, weight, a, b, 0.5), 1e-5);
        }
    }
}
