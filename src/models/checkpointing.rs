//! Block checkpointing (<https://arxiv.org/abs/1604.06174>): the forward pass keeps the input of each block and nothing that
//! is computed within it; the backward pass computes one block after the other again, from the last to the first.

use super::block::{Block, Context};
use super::layers::linear::Linear;
use super::visitor::{self, Visitor, Weight};
use crate::kernels::persistent;
use crate::kernels::seed::seed;
use burn::tensor::{Gradients, Tensor};
use std::sync::{Arc, Mutex, PoisonError};

/// What the forward passes of one loss leave for its backward pass, in memory that serves one loss after the other. Clones
/// share it.
#[derive(Debug, Clone)]
pub struct Tape(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    passes: Vec<Pass>,
    /// The tensors of earlier passes, one a block. They have a place of their own, because a GPU's memory lets a small tensor sit
    /// where a large one was, for as long as it lives.
    places: Vec<Vec<Tensor<2>>>,
    /// Rows that a new place has at least.
    rows: usize,
}

#[derive(Debug)]
struct Pass {
    blocks: Vec<Box<dyn Block>>,
    /// The input of all blocks together, with gradients where the embedding is trained: `[tokens, hidden]`
    input: Tensor<2>,
    /// The input of each block, without gradients: its first rows, `[at least tokens, hidden]`
    places: Vec<Tensor<2>>,
    /// Where the rest of the loss begins, a leaf: `[tokens, hidden]`
    output: Tensor<2>,
    context: Context,
}

impl Tape {
    /// For forward passes of up to so many tokens; more take new memory.
    pub fn new(tokens: usize) -> Tape {
        Tape(Arc::new(Mutex::new(Kept { rows: tokens, ..Kept::default() })))
    }

    /// The hidden states after all blocks. Gradients for them end there, until [`Tape::backward`].
    ///
    /// # Shapes
    /// - x, output: `[batch * seq, hidden]`
    pub(super) fn forward(&self, blocks: &[Box<dyn Block>], input: Tensor<2>, at: &Context) -> Tensor<2> {
        let mut x = input.clone().inner();
        let (earlier, rows) = self.kept(|kept| (kept.places.pop().unwrap_or_default(), kept.rows));
        let mut earlier = earlier.into_iter();
        let mut places = Vec::with_capacity(blocks.len());
        for block in blocks {
            places.push(put(earlier.next(), x.clone(), rows));
            x = detached(block.as_ref()).forward(x, at);
        }
        let output = x.autodiff().require_grad();
        let pass =
            Pass { blocks: blocks.to_vec(), input, places, output: output.clone(), context: at.clone() };
        self.kept(|kept| kept.passes.push(pass));
        output
    }

    /// Carries on, block by block, the gradients of a loss that was taken back to the blocks' output. Each part is handed to
    /// `add` as it is there; what belongs to the same leaf is to be added up.
    pub fn backward<T>(&self, mut of_loss: Gradients, start: T, add: impl Fn(T, Gradients) -> T) -> T {
        let passes = self.kept(|kept| std::mem::take(&mut kept.passes));
        let upstream = |pass: Pass| (pass.output.grad_remove(&mut of_loss), pass);
        let passes: Vec<_> = passes.into_iter().map(upstream).collect();
        let mut sum = add(start, of_loss);
        for (upstream, mut pass) in passes {
            if let Some(upstream) = upstream {
                sum = pass.backward(upstream, sum, &add);
            }
            self.kept(|kept| kept.places.push(std::mem::take(&mut pass.places)));
        }
        sum
    }

    fn kept<T>(&self, use_it: impl FnOnce(&mut Kept) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Copies x into the first rows of an earlier tensor, or of a new one where that has too few.
fn put(place: Option<Tensor<2>>, x: Tensor<2>, rows: usize) -> Tensor<2> {
    let ([tokens, hidden], device) = (x.dims(), x.device());
    let place = place.filter(|place| place.dims()[0] >= tokens);
    let new = || persistent(&device, (), |()| Tensor::empty([rows.max(tokens), hidden], &device));
    let place = place.unwrap_or_else(new);
    place.slice_assign([0..tokens, 0..hidden], x)
}

impl Pass {
    fn backward<T>(&mut self, mut upstream: Tensor<2>, mut sum: T, add: &impl Fn(T, Gradients) -> T) -> T {
        let trains_embedding = is_trained(&self.input);
        let lowest = self.blocks.iter().position(is_trained_block).unwrap_or(self.blocks.len());
        for (i, (block, place)) in self.blocks.iter().zip(&self.places).enumerate().rev() {
            let goes_on = trains_embedding || i > lowest;
            if !goes_on && i < lowest {
                return sum;
            }
            let input = place.clone().narrow(0, 0, self.input.dims()[0]);
            let x = if goes_on { input.autodiff().require_grad() } else { input.autodiff() };
            let y = block.forward(x.clone(), &self.context);
            let mut of_block = seed(y, upstream).backward();
            let for_x = goes_on.then(|| x.grad_remove(&mut of_block)).flatten();
            sum = add(sum, of_block);
            let Some(for_x) = for_x else { return sum };
            upstream = for_x;
        }
        if trains_embedding {
            sum = add(sum, seed(self.input.clone(), upstream).backward());
        }
        sum
    }
}

/// The same block outside of autodiff.
fn detached(block: &dyn Block) -> Box<dyn Block> {
    struct Detach;

    impl<'a> Visitor<'a> for Detach {
        fn linears(&mut self, linears: Vec<&'a mut Linear>) {
            for Linear { weight, bias, lora, .. } in linears {
                *weight = weight.clone().inner();
                *bias = bias.take().map(Tensor::inner);
                if let Some(path) = lora {
                    path.values = path.values.clone().inner();
                    path.magnitude = path.magnitude.take().map(Tensor::inner);
                }
            }
        }

        fn weight(&mut self, _name: String, weight: Weight<'a>) {
            match weight {
                Weight::Matrix(weight) => *weight = weight.clone().inner(),
                Weight::Linear(weight) => *weight = weight.clone().inner(),
                Weight::Vector(weight) => *weight = weight.clone().inner(),
            }
        }
    }

    let mut block = block.boxed_clone();
    block.visit(&mut Detach);
    block
}

#[allow(clippy::borrowed_box, reason = "what an iterator over blocks gives")]
fn is_trained_block(block: &Box<dyn Block>) -> bool {
    let mut block = block.clone();
    let is_adapted = |linear: &&mut Linear| linear.lora.as_ref().is_some_and(|path| is_trained(&path.values));
    let groups = visitor::linear_groups(|visitor| block.visit(visitor));
    if groups.iter().flatten().any(is_adapted) {
        return true;
    }
    drop(groups);
    let weights = visitor::weights(|visitor| block.visit(visitor));
    weights.into_iter().any(|named| match named.weight {
        Weight::Matrix(weight) => is_trained(weight),
        Weight::Linear(weight) => weight.is_trained(),
        Weight::Vector(weight) => is_trained(weight),
    })
}

fn is_trained<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.is_autodiff() && tensor.is_tracked()
}
