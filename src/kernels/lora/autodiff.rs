//! The gradients.

use super::{Layers, Lora, LoraKernels, Stored};
use crate::kernels::blocks::Form;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend};

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
        fp16: bool,
    ) -> FloatTensor<Self> {
        let weights = [w0, w1, w2].map(|weight| Stored::Dense(weight.into_primitive()));
        let layers = Layers::new(weights, lora.primitive().clone(), ranks, scale, fp16);
        tracked::<B, C>(x, lora, layers, residual, has_residual)
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
        let weights = Stored::blocks([q0, q1, q2], &forms);
        let layers = Layers::new(weights, lora.primitive().clone(), ranks, scale, fp16);
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
            if let Some(parent) = for_lora.filter(|_| layers.has_paths()) {
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
