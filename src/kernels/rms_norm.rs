//! Root-mean-square normalisation (<https://arxiv.org/abs/1910.07467>), one operation forward and
//! one backward.

use super::contiguous;
use super::sums::dot;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// `x / √(mean x² + eps) · weight`
///
/// # Shapes
/// - x, output: `[tokens, hidden]`
/// - weight: `[hidden]`
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    normed(x, weight, eps, false)
}

/// [`rms_norm`] of an x that also goes past it into a later operation, as a residual does: the gradient that this operation
/// has left for x by the time the norm's turn comes is added in the same pass.
///
/// # Panics
/// In the backward pass, when no later operation has left a gradient for x: autodiff tells whether there is one only of a tensor, and
/// an operation that holds its own input as a tensor would keep every graph that no backward pass goes through.
pub fn rms_norm_beside_residual(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    normed(x, weight, eps, true)
}

fn normed(x: Tensor<2>, weight: Tensor<1>, eps: f64, beside_residual: bool) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.unsqueeze::<2>().into_dispatch());
    Tensor::from_dispatch(<Dispatch as RmsNorm>::rms_norm(x, weight, eps as f32, beside_residual))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait RmsNorm: Backend {
    /// - weight: `[1, hidden]`
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        beside_residual: bool,
    ) -> FloatTensor<Self>;

    /// The gradient for x, and what others have left for it where there is some. With g the gradient times the weight and
    /// r = 1/√(mean x² + eps): r·(g − x·r²·Σ(g·x)/n).
    fn rms_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        others: FloatTensor<Self>,
        has_others: bool,
        eps: f32,
    ) -> FloatTensor<Self>;
}

/// `[tokens, 1]`
fn inverse_rms<B: Backend>(x: FloatTensor<B>, eps: f32) -> FloatTensor<B> {
    let mean_square = B::float_mean_dim(B::float_mul(x.clone(), x), 1);
    B::float_recip(B::float_sqrt(B::float_add_scalar(mean_square, eps.into())))
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl RmsNorm for burn::backend::Wgpu {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        _beside_residual: bool,
    ) -> FloatTensor<Self> {
        super::gpu::rms_norm::rms_norm(&x, &weight, eps).unwrap_or_else(|| {
            let inverse = inverse_rms::<Self>(x.clone(), eps);
            Self::float_mul(Self::float_mul(x, inverse), weight)
        })
    }

    fn rms_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        others: FloatTensor<Self>,
        has_others: bool,
        eps: f32,
    ) -> FloatTensor<Self> {
        let kept = has_others.then_some(&others);
        super::gpu::rms_norm::backward(&x, &weight, &grad, kept, eps).unwrap_or_else(|| {
            let inverse = inverse_rms::<Self>(x.clone(), eps);
            let grad = Self::float_mul(grad, weight);
            let mean = Self::float_mean_dim(Self::float_mul(grad.clone(), x.clone()), 1);
            let back = Self::float_mul(mean, Self::float_mul(inverse.clone(), inverse.clone()));
            let own = Self::float_mul(Self::float_sub(grad, Self::float_mul(x, back)), inverse);
            if has_others { Self::float_add(own, others) } else { own }
        })
    }
}

impl RmsNorm for Flex {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        _beside_residual: bool,
    ) -> FloatTensor<Self> {
        let (mut x, weight) = (contiguous(x), contiguous(weight));
        let weight = weight.storage::<f32>();
        for row in x.storage_mut::<f32>().chunks_exact_mut(weight.len().max(1)) {
            let inverse = 1.0 / (dot(row, row) / row.len() as f32 + eps).sqrt();
            row.iter_mut().zip(weight).for_each(|(value, weight)| *value *= inverse * weight);
        }
        x
    }

    fn rms_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        others: FloatTensor<Self>,
        has_others: bool,
        eps: f32,
    ) -> FloatTensor<Self> {
        let (x, weight, mut grad) = (contiguous(x), contiguous(weight), contiguous(grad));
        let weight = weight.storage::<f32>();
        let width = weight.len().max(1);
        let rows = x.storage::<f32>().chunks_exact(width);
        for (grad, row) in grad.storage_mut::<f32>().chunks_exact_mut(width).zip(rows) {
            grad.iter_mut().zip(weight).for_each(|(grad, weight)| *grad *= weight);
            let mean_square = dot(row, row) / width as f32 + eps;
            let (inverse, back) = (1.0 / mean_square.sqrt(), dot(grad, row) / (width as f32 * mean_square));
            grad.iter_mut().zip(row).for_each(|(grad, value)| *grad = (*grad - value * back) * inverse);
        }
        if has_others {
            let others = contiguous(others);
            let pairs = grad.storage_mut::<f32>().iter_mut().zip(others.storage::<f32>());
            pairs.for_each(|(grad, other)| *grad += other);
        }
        grad
    }
}

impl<B: RmsNorm, C: CheckpointStrategy> RmsNorm for Autodiff<B, C> {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        beside_residual: bool,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Normed;

        impl<B: RmsNorm> Backward<B, 2> for Normed {
            type State = (FloatTensor<B>, FloatTensor<B>, f32, bool);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (x, weight, eps, beside_residual) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [for_x, for_weight] = ops.parents;
                if let Some(parent) = for_weight {
                    let normal = B::float_mul(x.clone(), inverse_rms::<B>(x.clone(), eps));
                    let grad = B::float_sum_dim(B::float_mul(grad.clone(), normal), 0);
                    grads.register::<B>(parent.id, grad);
                }
                if let Some(parent) = for_x {
                    // A leaf's gradient stays where it is; there, and where there is none yet, autodiff adds them up.
                    let has_others = beside_residual && !parent.parents.is_empty();
                    let others = if has_others { grads.consume::<B>(&parent) } else { grad.clone() };
                    let grad = B::rms_norm_backward(x, weight, grad, others, has_others, eps);
                    grads.register::<B>(parent.id, grad);
                }
            }
        }

        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match Normed.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::rms_norm(x.clone(), weight.clone(), eps, beside_residual);
                prepared.finish((x, weight, eps, beside_residual), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rms_norm(x, weight, eps, beside_residual)),
        }
    }

    fn rms_norm_backward(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
        _others: FloatTensor<Self>,
        _has_others: bool,
        _eps: f32,
    ) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are never taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{close, random};
    use burn::tensor::Device;

    #[test]
    fn values_and_gradients_are_the_stock_ones() {
        let device = Device::flex();
        let x = random([9, 14], 1, &device) * 3.0;
        let weight = random([7], 2, &device);
        let target = random([14, 7], 3, &device);
        let stock = |x: Tensor<2>, weight: Tensor<1>, eps: f64| {
            let inverse = (x.clone().square().mean_dim(1) + eps).sqrt().recip();
            x * inverse * weight.unsqueeze::<2>()
        };
        let run = |norm: fn(Tensor<2>, Tensor<1>, f64) -> Tensor<2>| {
            let (x, weight) = (x.clone().autodiff().require_grad(), weight.clone().autodiff().require_grad());
            // A part, so that the rows do not fill their storage.
            let y = norm(x.clone().reshape([18, 7]).narrow(0, 3, 14), weight.clone(), 1e-5);
            let gradients = (y.clone() * target.clone()).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap().unsqueeze()]
        };
        for (ours, stock) in run(rms_norm).into_iter().zip(run(stock)) {
            close(ours, stock, 1e-5);
        }
    }

    #[test]
    fn the_gradient_of_a_residual_is_added() {
        let device = Device::flex();
        let (x, weight) = (random([5, 8], 1, &device), random([8], 2, &device));
        let run = |norm: fn(Tensor<2>, Tensor<1>, f64) -> Tensor<2>| {
            let leaf = x.clone().autodiff().require_grad();
            // Once of a leaf, once of what was computed.
            let inner = leaf.clone() * 0.5 + norm(leaf.clone(), weight.clone(), 1e-5);
            let y = inner.clone().square() * norm(inner.clone(), weight.clone(), 1e-5).square() + inner * 3.0;
            leaf.grad(&y.sum().backward()).unwrap()
        };
        close(run(rms_norm_beside_residual), run(rms_norm), 1e-4);
    }
}
