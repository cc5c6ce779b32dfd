//! Block checkpointing (<https://arxiv.org/abs/1604.06174>): the forward pass keeps the input of each block and nothing that
//! is computed within it; the backward pass computes one block after the other again, from the last to the first.

use super::layers::linear::Linear;
use super::layers::rotary::Rotation;
use super::llama::{DecoderLayer, Llama};
use crate::kernels::seed::seed;
use burn::tensor::{Gradients, Tensor};
use std::sync::{Arc, Mutex, PoisonError};

/// What the forward passes of one loss leave for its backward pass. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tape(Arc<Mutex<Vec<Pass>>>);

#[derive(Debug)]
struct Pass {
    layers: Vec<DecoderLayer>,
    /// Of all blocks together, with gradients where the embedding is trained: `[tokens, hidden]`
    input: Tensor<2>,
    /// Of each block, without gradients: `[tokens, hidden]`
    inputs: Vec<Tensor<2>>,
    /// Where the rest of the loss begins, a leaf: `[tokens, hidden]`
    output: Tensor<2>,
    seq: usize,
    rotation: Rotation,
    first_keys: Tensor<1>,
}

impl Tape {
    /// The hidden states after all blocks. Gradients for them end there, until [`Tape::backward`].
    ///
    /// # Shapes
    /// - x, output: `[batch * seq, hidden]`
    pub(super) fn forward(
        &self,
        model: &Llama,
        input: Tensor<2>,
        seq: usize,
        rotation: &Rotation,
        first_keys: &Tensor<1>,
    ) -> Tensor<2> {
        let mut x = input.clone().inner();
        let mut inputs = Vec::with_capacity(model.layers.len());
        for layer in &model.layers {
            inputs.push(x.clone());
            x = detached(layer).forward(x, seq, rotation, first_keys);
        }
        let output = x.autodiff().require_grad();
        let pass = Pass {
            layers: model.layers.clone(),
            input,
            inputs,
            output: output.clone(),
            seq,
            rotation: rotation.clone(),
            first_keys: first_keys.clone(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pass);
        output
    }

    /// Carries on, block by block, the gradients of a loss that was taken back to the blocks' output. What belongs to the
    /// same leaf is to be added up.
    pub fn backward(&self, of_loss: Gradients) -> Vec<Gradients> {
        let passes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut gradients = vec![of_loss];
        for pass in passes {
            if let Some(upstream) = pass.output.grad_remove(&mut gradients[0]) {
                pass.backward(upstream, &mut gradients);
            }
        }
        gradients
    }
}

impl Pass {
    fn backward(self, mut upstream: Tensor<2>, gradients: &mut Vec<Gradients>) {
        let trains_embedding = is_trained(&self.input);
        let lowest = self.layers.iter().position(is_trained_layer).unwrap_or(self.layers.len());
        for (i, (layer, input)) in self.layers.iter().zip(self.inputs).enumerate().rev() {
            let goes_on = trains_embedding || i > lowest;
            if !goes_on && i < lowest {
                return;
            }
            let x = if goes_on { input.autodiff().require_grad() } else { input.autodiff() };
            let y = layer.forward(x.clone(), self.seq, &self.rotation, &self.first_keys);
            let mut of_block = seed(y, upstream).backward();
            let for_x = goes_on.then(|| x.grad_remove(&mut of_block)).flatten();
            gradients.push(of_block);
            let Some(for_x) = for_x else { return };
            upstream = for_x;
        }
        if trains_embedding {
            gradients.push(seed(self.input, upstream).backward());
        }
    }
}

/// The same block outside of autodiff.
fn detached(layer: &DecoderLayer) -> DecoderLayer {
    let mut layer = layer.clone();
    for norm in [&mut layer.input_layernorm, &mut layer.post_attention_layernorm] {
        norm.weight = norm.weight.clone().inner();
    }
    for linear in linears(&mut layer) {
        linear.weight = linear.weight.clone().inner();
        if let Some(path) = &mut linear.lora {
            path.values = path.values.clone().inner();
            path.magnitude = path.magnitude.take().map(Tensor::inner);
        }
    }
    layer
}

fn is_trained_layer(layer: &DecoderLayer) -> bool {
    let norms = [&layer.input_layernorm.weight, &layer.post_attention_layernorm.weight];
    let of_linear = |linear: &mut Linear| {
        linear.weight.is_trained() || linear.lora.as_ref().is_some_and(|path| is_trained(&path.values))
    };
    norms.into_iter().any(is_trained) || linears(&mut layer.clone()).into_iter().any(of_linear)
}

fn linears(layer: &mut DecoderLayer) -> [&mut Linear; 7] {
    let (attention, mlp) = (&mut layer.self_attn, &mut layer.mlp);
    [
        &mut attention.q_proj,
        &mut attention.k_proj,
        &mut attention.v_proj,
        &mut attention.o_proj,
        &mut mlp.gate_proj,
        &mut mlp.up_proj,
        &mut mlp.down_proj,
    ]
}

fn is_trained<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.is_autodiff() && tensor.is_tracked()
}
