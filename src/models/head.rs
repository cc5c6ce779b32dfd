//! The output projection and its loss, computed in chunks so that the logits of a whole
//! batch, `[tokens, vocab]`, never exist at once.

use super::int_tensor;
use crate::kernels::{exp::exp, matmul::matmul};
use burn::tensor::{Int, Tensor};

/// Rows of logits held at a time: 256 rows of a 49k vocabulary are 50 MB.
const CHUNK: usize = 256;

/// Negative log-likelihood of each target, with gradients for `hidden` and `head`.
///
/// For a frozen head the gradient of each row, (softmax − one-hot)·W, is formed with its
/// loss, chunk by chunk, and handed to autodiff as a constant; a head that is itself
/// trained goes through plain autodiff.
///
/// # Shapes
/// - hidden: `[tokens, hidden]`
/// - head: `[vocab, hidden]`
/// - targets: `[tokens]`, host values below vocab
/// - output: `[tokens]`
pub fn token_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let tokens = targets.len();
    let device = hidden.device().inner();
    let targets = int_tensor(targets, &device);
    let mut losses = Vec::new();
    let mut start = 0;
    while start < tokens {
        let rows = CHUNK.min(tokens - start);
        let hidden = hidden.clone().narrow(0, start, rows);
        let targets = targets.clone().narrow(0, start, rows);
        losses.push(match head.is_autodiff() && head.is_tracked() {
            true => plain_losses(hidden, head, targets),
            false => frozen_head_losses(hidden, head, targets),
        });
        start += rows;
    }
    Tensor::cat(losses, 0)
}

/// # Shapes
/// - hidden: `[tokens, hidden]`
/// - output: `[tokens, vocab]`
pub fn logits(hidden: Tensor<2>, head: &Tensor<2>) -> Tensor<2> {
    matmul(hidden, head.clone().transpose())
}

/// The plain form: what [`frozen_head_losses`] must agree with.
fn plain_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = logits(hidden, head);
    let top = logits.clone().detach().max_dim(1); // [tokens, 1]
    let normaliser = (logits.clone() - top.clone()).exp().sum_dim(1).log() + top;
    let target_logits = logits.gather(1, targets.unsqueeze_dim(1));
    (normaliser - target_logits).squeeze_dim(1)
}

fn frozen_head_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let head = head.clone().inner();
    let values = hidden.clone().inner();
    let logits = logits(values, &head); // [tokens, vocab]
    let top = logits.clone().max_dim(1);
    let columns = targets.clone().unsqueeze_dim(1);
    let target_logits = logits.clone().gather(1, columns);
    let exponentials = exp(logits - top.clone());
    let sums = exponentials.clone().sum_dim(1);
    let losses = (sums.clone().log() + top - target_logits).squeeze_dim(1); // [tokens]
    if !(hidden.is_autodiff() && hidden.is_tracked()) {
        return losses;
    }
    let softmax_part = matmul(exponentials, head.clone()) / sums; // Σ softmax·W: [tokens, hidden]
    let gradient = softmax_part - head.select(0, targets);
    // The value of the surrogate cancels; its gradient for `hidden` stays.
    let surrogate = (hidden * gradient).sum_dim(1).squeeze_dim::<1>(1);
    let zero = surrogate.clone() - surrogate.detach();
    // `surrogate − detached` has derivative d surrogate, which is what we want.
    zero + losses
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn frozen_head_agrees_with_plain_autodiff_forward_and_backward() {
        let device = Device::flex();
        device.seed(7);
        let tokens = CHUNK + 37;
        let hidden = Tensor::<2>::random([tokens, 24], Distribution::Normal(0.0, 2.0), &device);
        let head = Tensor::<2>::random([61, 24], Distribution::Normal(0.0, 1.0), &device);
        let targets: Vec<u32> = (0..tokens as u32).map(|i| i * 31 % 61).collect();
        let weights = Tensor::<1>::random([tokens], Distribution::Uniform(0.0, 1.0), &device);

        let run = |plain: bool| {
            let x = hidden.clone().autodiff().require_grad();
            let losses = match plain {
                true => plain_losses(x.clone(), &head, int_tensor(&targets, &device)),
                false => token_losses(x.clone(), &head, &targets),
            };
            // Unequal weights show that each row's gradient is its own.
            let gradients = (losses.clone() * weights.clone()).sum().backward();
            (losses.inner().to_data(), x.grad(&gradients).unwrap().to_data())
        };
        let (plain, fast) = (run(true), run(false));
        let close = |a: &burn::tensor::TensorData, b: &burn::tensor::TensorData| {
            let pairs = a.iter::<f32>().zip(b.iter::<f32>());
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(close(&plain.0, &fast.0) < 1e-5);
        assert!(close(&plain.1, &fast.1) < 1e-5);
    }
}
