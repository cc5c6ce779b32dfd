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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `x / √(mean x² + eps) · weight`
///
/// # Shapes
/// - x, output: `[tokens, hidden]`
/// - weight: `[hidden]`
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    normed(x, weight, eps, Arc::default())
}

/// [`rms_norm`] of an x that also goes past the norm: the normalised x, and x itself for the operation that adds it again. The
/// gradient that comes back past the norm is added in the norm's own backward pass, where it is there by then; else by autodiff.
///
/// # Shapes
/// - x, both outputs: `[tokens, hidden]`
/// - weight: `[hidden]`
pub fn rms_norm_beside_residual(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> [Tensor<2>; 2] {
    let passed = Arc::<AtomicBool>::default();
    let residual = <Dispatch as RmsNorm>::residual(x.clone().into_dispatch(), passed.clone());
    [normed(x, weight, eps, passed), Tensor::from_dispatch(residual)]
}

fn normed(x: Tensor<2>, weight: Tensor<1>, eps: f64, passed: Arc<AtomicBool>) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.unsqueeze::<2>().into_dispatch());
    Tensor::from_dispatch(<Dispatch as RmsNorm>::rms_norm(x, weight, eps as f32, passed))
}

#[backend_extension(Autodiff, Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait RmsNorm: Backend {
    /// - weight: `[1, hidden]`
    /// - passed: whether the gradient of [`RmsNorm::residual`] is there already
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        passed: Arc<AtomicBool>,
    ) -> FloatTensor<Self>;

    /// x as it is; its backward pass says that it has passed.
    fn residual(x: FloatTensor<Self>, _passed: Arc<AtomicBool>) -> FloatTensor<Self> {
        x
    }

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
        _passed: Arc<AtomicBool>,
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
        _passed: Arc<AtomicBool>,
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
        passed: Arc<AtomicBool>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Normed;

        impl<B: RmsNorm> Backward<B, 2> for Normed {
            type State = (FloatTensor<B>, FloatTensor<B>, f32, Arc<AtomicBool>);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (x, weight, eps, passed) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [for_x, for_weight] = ops.parents;
                if let Some(parent) = for_weight {
                    let normal = B::float_mul(x.clone(), inverse_rms::<B>(x.clone(), eps));
                    let grad = B::float_sum_dim(B::float_mul(grad.clone(), normal), 0);
                    grads.register::<B>(parent.id, grad);
                }
                if let Some(parent) = for_x {
                    // A leaf's gradient stays where it is; there, and where there is none yet, autodiff adds them up.
                    let has_others = passed.load(Ordering::Relaxed) && !parent.parents.is_empty();
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
                let output = B::rms_norm(x.clone(), weight.clone(), eps, passed.clone());
                prepared.finish((x, weight, eps, passed), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rms_norm(x, weight, eps, passed)),
        }
    }

    fn residual(x: FloatTensor<Self>, passed: Arc<AtomicBool>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Residual;

        impl<B: Backend> Backward<B, 1> for Residual {
            type State = Arc<AtomicBool>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let grad = grads.consume::<B>(&ops.node);
                let [parent] = ops.parents;
                if let Some(parent) = parent {
                    grads.register::<B>(parent.id, grad);
                    ops.state.store(true, Ordering::Relaxed);
                }
            }
        }

        let (x, node) = x.into_parts();
        match Residual.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(passed, x),
            OpsKind::UnTracked(prepared) => prepared.finish(x),
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
        let apart = |x: Tensor<2>| [rms_norm(x.clone(), weight.clone(), 1e-5), x];
        let beside = |x: Tensor<2>| rms_norm_beside_residual(x, weight.clone(), 1e-5);
        let run = |norm: &dyn Fn(Tensor<2>) -> [Tensor<2>; 2],
                   after: &dyn Fn([Tensor<2>; 2]) -> Tensor<2>| {
            let leaf = x.clone().autodiff().require_grad();
            // Once of a leaf, once of what was computed.
            let [normed, residual] = norm(leaf.clone());
            let y = after(norm(normed + residual * 0.5));
            leaf.grad(&y.sum().backward()).unwrap()
        };
        type After = fn([Tensor<2>; 2]) -> Tensor<2>;
        let both: After = |[normed, residual]| normed.square() * residual.clone().square() + residual * 3.0;
        let residual_first: After = |[normed, residual]| residual * normed.square();
        let norm_alone: After = |[normed, _]| normed.square();
        let residual_alone: After = |[_, residual]| residual.square();
        for after in [both, residual_first, norm_alone, residual_alone] {
            close(run(&beside, &after), run(&apart, &after), 1e-4);
        }
    }
}
