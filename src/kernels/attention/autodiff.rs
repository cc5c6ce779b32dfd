//! The gradients.

use super::Attention;
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

impl<B: Attention, C: CheckpointStrategy> Attention for Autodiff<B, C> {
    fn causal_attention(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Attended;

        impl<B: Attention> Backward<B, 1> for Attended {
            /// qkv, the first keys, the output, what the forward pass saved, and seq.
            type State = ([FloatTensor<B>; 4], usize);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let ([qkv, first_keys, output, saved], seq) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::attention_backward(qkv, first_keys, output, saved, grad, seq)
                });
            }
        }

        let node = qkv.node();
        let [qkv, first_keys] = [qkv, first_keys].map(|tensor| tensor.into_primitive());
        match Attended.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, saved) = B::attention_forward(qkv.clone(), first_keys.clone(), heads, seq);
                prepared.finish(([qkv, first_keys, output.clone(), saved], seq), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::causal_attention(qkv, first_keys, heads, seq)),
        }
    }

    fn cached_attention(
        _qkv: FloatTensor<Self>,
        _keys: FloatTensor<Self>,
        _values: FloatTensor<Self>,
        _past: usize,
        _window: Option<usize>,
    ) -> FloatTensor<Self> {
        unreachable!("answers are written without gradients")
    }

    fn attention_forward(
        _qkv: FloatTensor<Self>,
        _first_keys: FloatTensor<Self>,
        _heads: usize,
        _seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("`causal_attention` is what takes gradients")
    }

    fn attention_backward(
        _qkv: FloatTensor<Self>,
        _first_keys: FloatTensor<Self>,
        _output: FloatTensor<Self>,
        _saved: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
        _seq: usize,
    ) -> FloatTensor<Self> {
        unreachable!("gradients of gradients are never taken")
    }
}
